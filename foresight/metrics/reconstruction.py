"""Reconstruction metrics, one value per image: mse, psnr, ssim.

Axes: B batch, H W pixels. Pictures are in [0, 1]. `content_BHW` is True inside the picture and False in the padding of a
letterboxed one; padding never counts.
"""

import torch
from torch import Tensor

from foresight.metrics import METRICS

MAX_PSNR_DB = METRICS["psnr"].high


def fill_padding(prediction_B3HW: Tensor, target_B3HW: Tensor, content_BHW: Tensor) -> Tensor:
    """The prediction with the target's padding, so that metrics that look at neighbourhoods see no difference there."""
    return torch.where(content_BHW[:, None], prediction_B3HW, target_B3HW)


def compute_mse(prediction_B3HW: Tensor, target_B3HW: Tensor, content_BHW: Tensor) -> Tensor:
    """[B] mean squared error over the pixels of the picture."""
    inside_B1HW = content_BHW[:, None].to(prediction_B3HW.dtype)
    squared = (prediction_B3HW - target_B3HW).square() * inside_B1HW
    return squared.sum(dim=(1, 2, 3)) / (3 * inside_B1HW.sum(dim=(1, 2, 3)))


def compute_psnr(mse_B: Tensor) -> Tensor:
    """[B] peak signal-to-noise ratio in dB, at most 100 (an exact copy would be infinite)."""
    return (-10 * torch.log10(mse_B.clamp(min=10 ** (-MAX_PSNR_DB / 10)))).clamp(max=MAX_PSNR_DB)


def compute_ssim(prediction_B3HW: Tensor, target_B3HW: Tensor, content_BHW: Tensor) -> Tensor:
    """[B] structural similarity of the grey images, the map averaged over the pixels of the picture."""
    # Here, as its import takes longer than torch's own, and only what measures a trained model needs it.
    from torchmetrics.functional.image import structural_similarity_index_measure

    prediction = fill_padding(prediction_B3HW, target_B3HW, content_BHW).mean(dim=1, keepdim=True)
    target = target_B3HW.mean(dim=1, keepdim=True)
    _, map_B1HW = structural_similarity_index_measure(
        prediction, target, data_range=1.0, sigma=1.5, reduction="none", return_full_image=True
    )
    inside_BHW = content_BHW.to(map_B1HW.dtype)
    return (map_B1HW[:, 0] * inside_BHW).sum(dim=(1, 2)) / inside_BHW.sum(dim=(1, 2))
