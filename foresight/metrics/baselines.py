"""Trivial predictors that ignore the input. Their scores stand next to every result: below them nothing was learned.

A copy is one of a training image: who rebuilds pictures would by a copy of the input have the answer, which is no baseline.

Axes: N training images, H W pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TrivialPrediction:
    """One picture and one mask, predicted for every test image."""

    picture_3HW: Tensor
    mask_prob_HW: Tensor


def mean_image(targets_N3HW: Tensor, masks_NHW: Tensor) -> TrivialPrediction:
    """The mean training image; its mask holds the places that are most often object, as many as an average object has.

    Of images without annotation the mask is empty.
    """
    if not masks_NHW.shape[-1]:
        return TrivialPrediction(targets_N3HW.mean(dim=0), torch.zeros_like(targets_N3HW[0, 0]))
    frequency_HW = masks_NHW.float().mean(dim=0)
    n_pixels = max(1, round(frequency_HW.sum().item()))
    threshold = frequency_HW.flatten().topk(n_pixels).values[-1]
    return TrivialPrediction(targets_N3HW.mean(dim=0), (frequency_HW >= threshold).float())


def centred_disc(targets_N3HW: Tensor, masks_NHW: Tensor) -> TrivialPrediction | None:
    """A centred disc in the mean object colour on the mean background; its radius is the best one on the training masks.

    None for images without annotation, which know no object.
    """
    if not masks_NHW.shape[-1]:
        return None
    height, width = masks_NHW.shape[1:]
    y = (torch.arange(height, device=masks_NHW.device) + 0.5 - height / 2)[:, None]
    x = (torch.arange(width, device=masks_NHW.device) + 0.5 - width / 2)[None, :]
    distance_HW = (x.square() + y.square()).sqrt()
    discs_RHW = torch.stack([distance_HW <= radius for radius in range(2, max(height, width) // 2 + 1)])
    overlap_RN = torch.einsum("rhw,nhw->rn", discs_RHW.float(), masks_NHW.float())
    union_RN = discs_RHW.sum(dim=(1, 2))[:, None] + masks_NHW.sum(dim=(1, 2))[None] - overlap_RN
    best_HW = discs_RHW[(overlap_RN / union_RN.clamp(min=1)).mean(dim=1).argmax()]
    inside_N1HW = masks_NHW[:, None].float()
    colour = (targets_N3HW * inside_N1HW).sum(dim=(0, 2, 3)) / inside_N1HW.sum().clamp(min=1)
    background = (targets_N3HW * (1 - inside_N1HW)).sum(dim=(0, 2, 3)) / (1 - inside_N1HW).sum().clamp(min=1)
    picture = torch.where(best_HW[None], colour[:, None, None], background[:, None, None])
    return TrivialPrediction(picture, best_HW.float())


def copied_image(targets_N3HW: Tensor, masks_NHW: Tensor) -> TrivialPrediction:
    """The training image that is nearest to all others, with its own mask; of images without annotation an empty one.

    It is sharp, which the mean image is not: what blur costs in LPIPS, SSIM and edges shows nothing of having learned.
    """
    # The sum of squared distances to all is smallest where |x|^2 - 2 x m is, with m the mean; no copy of the images is made.
    flat_NP = targets_N3HW.flatten(1)
    nearest = (torch.linalg.vector_norm(flat_NP, dim=1).square() - 2 * flat_NP @ flat_NP.mean(dim=0)).argmin()
    picture_3HW = targets_N3HW[nearest]
    mask_HW = masks_NHW[nearest].float() if masks_NHW.shape[-1] else torch.zeros_like(picture_3HW[0])
    return TrivialPrediction(picture_3HW, mask_HW)


TRIVIAL_PREDICTORS: dict[str, Callable[[Tensor, Tensor], TrivialPrediction | None]] = {
    "mean_image": mean_image,
    "centred_disc": centred_disc,
    "copied_image": copied_image,
}
