"""All image metrics of a prediction, one row per image. The one place where predictions meet targets.

Axes: B batch, H W pixels.
"""

import torch
from torch import Tensor

from foresight.metrics.edges import compute_edge_f1
from foresight.metrics.lpips import Lpips
from foresight.metrics.reconstruction import compute_mse, compute_psnr, compute_ssim, fill_padding
from foresight.metrics.spatial import compute_box_iou, compute_mask_iou


@torch.no_grad()
def compute_image_metrics(
    picture_B3HW: Tensor,
    mask_prob_BHW: Tensor,
    target_B3HW: Tensor,
    mask_BHW: Tensor,
    boxes_xyxy_B4: Tensor,
    content_BHW: Tensor,
    lpips: Lpips,
) -> dict[str, Tensor]:
    """{metric name: [B]} for pictures in [0, 1]. See `foresight.metrics.METRICS` for each definition.

    Without annotation (masks [B, 0, 0], boxes [B, 0]) METRICS_OF_MASKS are left out.
    """
    mse_B = compute_mse(picture_B3HW, target_B3HW, content_BHW)
    metrics = {}
    if mask_BHW.shape[-1]:
        metrics["mask_iou"] = compute_mask_iou(mask_prob_BHW, mask_BHW, content_BHW)
        metrics["box_iou"] = compute_box_iou(mask_prob_BHW, boxes_xyxy_B4, content_BHW)
    return metrics | {
        lpips.name: lpips(fill_padding(picture_B3HW, target_B3HW, content_BHW), target_B3HW),
        "ssim": compute_ssim(picture_B3HW, target_B3HW, content_BHW),
        "edge_f1": compute_edge_f1(picture_B3HW, target_B3HW, content_BHW),
        "psnr": compute_psnr(mse_B),
        "mse": mse_B,
    }
