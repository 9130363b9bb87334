"""What a trained bridge takes from which stream, on the test split: a row for each image, means, and a map for people.

Axes: N test images, B some of them, Q places, H W pixels.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from foresight.features.stage import StagedSplit
from foresight.metrics.stream_shares import ShareMap, measure_attention, measure_influence
from foresight.models.bridge import Bridge
from foresight.models.position import most_square_grid
from foresight.train.measure import mean_over_frames, sample_batches
from foresight.train.pictures import N_EXAMPLES, picture_strip

# The colours of the report's figures: all DINOv2, and all VLM; half and half is white.
DINOV2_RGB, VLM_RGB = (0.0, 0.447, 0.698), (0.835, 0.369, 0.0)
CAPTION = (
    "which stream a conditioning token depends on, at its place: vermillion the VLM, blue DINOv2, white both alike, black "
    "no place inside the picture"
)


@dataclass
class StreamMaps:
    """Of the images [N]: share columns for the samples, named as in SHARES, and a picture of the first images."""

    samples: dict[str, np.ndarray]
    picture_png: bytes

    @property
    def columns(self) -> dict[str, float]:
        """`share/<name>`: means over the images that have such a place."""
        found = {name: values[np.isfinite(values)] for name, values in self.samples.items()}
        return {f"share/{name}": float(values.mean()) for name, values in found.items() if len(values)}


@torch.no_grad()
def map_streams(bridge: Bridge, split: StagedSplit, batch_size: int) -> StreamMaps | None:
    """The shares of both streams on a split, in single precision, a row for each sample.

    A stream is exchanged for that of the next sample of the split. None for a bridge that does not read both, and where
    no annotation tells object from background.
    """
    n = len(split)
    reads_both = split.features.vlm_BVC.shape[1] and split.features.spatial_BSC.shape[1]
    if not (reads_both and split.has_masks and split.n_samples > 1):
        return None
    bridge.eval()
    samples: dict[str, list[np.ndarray]] = {}
    rows: list[Tensor] = []
    for index in sample_batches(split, batch_size):
        features = split.features[index]
        # The next frame of a clip shows nearly the same, so the exchange is with the next clip.
        maps = {"influence": measure_influence(bridge, features, split.features[(index + split.n_frames) % n])}
        attention = measure_attention(bridge, features)
        if attention is not None:
            maps["attention"] = attention
        mask, content = split.masks_NHW[index], split.content_NHW[index]
        for kind, share_map in maps.items():
            for region, values in share_map.regions(mask, content).items():
                per_sample = mean_over_frames(values, split.n_frames).cpu().numpy()
                samples.setdefault(f"vlm_{kind}_{region}", []).append(per_sample)
        if not rows:
            first = slice(0, N_EXAMPLES)
            shown = mask[first, None].expand(-1, 3, -1, -1).float()
            rows = [split.targets_N3HW[index][first].float() / 255, shown]
            rows += [paint(m, content.shape[-1])[first] * content[first, None] for m in maps.values()]
    names = ["target", "true mask", "influence", "attention"][: len(rows)]
    caption = f"Rows: {', '.join(names)}. Influence: {CAPTION}" + (
        "; attention: to which stream's tokens the queries attend, in the same colours." if len(rows) > 3 else "."
    )
    return StreamMaps(
        {name: np.concatenate(values) for name, values in samples.items()}, picture_strip(rows, caption=caption)
    )


def paint(share_map: ShareMap, side_px: int) -> Tensor:
    """[B, 3, side, side]: the shares as colours, each place as a rectangle; black where there is none."""
    share_BQ = share_map.share_BQ
    vlm, dinov2 = (torch.tensor(rgb, device=share_BQ.device).view(3, 1) for rgb in (VLM_RGB, DINOV2_RGB))
    share_B1Q = share_BQ[:, None]
    # From a colour at one end over white in the middle to the other colour.
    lean_B1Q = (2 * share_B1Q - 1).abs()
    colours_B3Q = 1 + lean_B1Q * (torch.where(share_B1Q > 0.5, vlm, dinov2) - 1)
    rows, columns = most_square_grid(share_BQ.shape[1])
    grid_B3RC = colours_B3Q.nan_to_num(0.0).unflatten(-1, (rows, columns))
    return F.interpolate(grid_B3RC, size=(side_px, side_px), mode="nearest")
