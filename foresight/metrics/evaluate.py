"""All image metrics of a prediction, one row per image. The one place where predictions meet targets.

Axes: B batch, H W pixels.
"""

import torch
from torch import Tensor

from foresight.metrics.edges import compute_edge_f1
from foresight.metrics.lpips import Lpips
from foresight.metrics.reconstruction import compute_mse, compute_psnr, compute_ssim, fill_padding
from foresight.metrics.spatial import compute_box_iou, compute_mask_iou, compute_picture_iou


@torch.no_grad()
def compute_image_metrics(
    picture_B3HW: Tensor,
    mask_prob_BHW: Tensor | None,
    target_B3HW: Tensor,
    mask_BHW: Tensor,
    boxes_xyxy_B4: Tensor,
    content_BHW: Tensor,
    lpips: Lpips,
    plain_ground: bool = False,
) -> dict[str, Tensor]:
    """{metric name: [B]} for pictures in [0, 1]. See `foresight.metrics.METRICS` for each definition.

    METRICS_OF_MASKS are left out without annotation (masks [B, 0, 0], boxes [B, 0]), and where no mask is predicted (None).
    """
    metrics = {}
    if mask_BHW.shape[-1] and mask_prob_BHW is not None:
        metrics["mask_iou"] = compute_mask_iou(mask_prob_BHW, mask_BHW, content_BHW)
        metrics["box_iou"] = compute_box_iou(mask_prob_BHW, boxes_xyxy_B4, content_BHW)
    return metrics | compute_picture_metrics(picture_B3HW, target_B3HW, mask_BHW, content_BHW, lpips, plain_ground)


@torch.no_grad()
def compute_picture_metrics(
    picture_B3HW: Tensor,
    target_B3HW: Tensor,
    mask_BHW: Tensor,
    content_BHW: Tensor,
    lpips: Lpips,
    plain_ground: bool,
) -> dict[str, Tensor]:
    """{metric name: [B]}: of the above, those that ask for no predicted mask; `picture_iou` where the ground is plain."""
    mse_B = compute_mse(picture_B3HW, target_B3HW, content_BHW)
    metrics = {
        lpips.name: lpips(fill_padding(picture_B3HW, target_B3HW, content_BHW), target_B3HW),
        "ssim": compute_ssim(picture_B3HW, target_B3HW, content_BHW),
        "edge_f1": compute_edge_f1(picture_B3HW, target_B3HW, content_BHW),
        "psnr": compute_psnr(mse_B),
        "mse": mse_B,
    }
    if plain_ground and mask_BHW.shape[-1]:
        metrics["picture_iou"] = compute_picture_iou(picture_B3HW, target_B3HW, mask_BHW, content_BHW)
    return metrics
