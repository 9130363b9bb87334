"""temporal_lpips_variance: does the change from frame to frame of a reconstructed clip stay even, or does it flicker?

Axes: B frames of whole clips, K clips, T frames of a clip, H W pixels.
"""

import torch
from torch import Tensor

from foresight.metrics.lpips import Lpips

LEAST_FRAMES = 3  # with two there is one change, and one number has no variance


def temporal_name(lpips: Lpips) -> str:
    """The metric's name with this trunk: `temporal_lpips_variance` or `temporal_lpips_random_trunk_variance`."""
    return f"temporal_{lpips.name}_variance"


def compute_temporal_variance(picture_B3HW: Tensor, n_frames: int, lpips: Lpips) -> Tensor:
    """[K] variance over a clip of the LPIPS between consecutive frames (divided by their number, T - 1).

    Frames are in order, clip after clip. A clip that never changes has 0, whatever it shows.
    """
    clips_KT3HW = picture_B3HW.unflatten(0, (-1, n_frames))
    before, after = clips_KT3HW[:, :-1].flatten(0, 1), clips_KT3HW[:, 1:].flatten(0, 1)
    return torch.var(lpips(before, after).unflatten(0, (-1, n_frames - 1)), dim=1, correction=0)
