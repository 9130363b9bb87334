"""Metrics of one predicted box a picture, against the one that is annotated.

Axes: B batch. Boxes are `cxcywh`, normalised: each side of the picture is 1.
"""

import torch
from torch import Tensor

from foresight.boxes import cxcywh_to_xyxy, elementwise_iou

# A thousandth of the picture: relative to a box without width, any error would be infinite.
LEAST_SIDE = 1e-3


@torch.no_grad()
def compute_box_metrics(predicted_cxcywh_B4: Tensor, true_cxcywh_B4: Tensor) -> dict[str, Tensor]:
    """{metric name: [B]}. See `foresight.metrics.METRICS` for each definition."""
    iou_B = elementwise_iou(cxcywh_to_xyxy(predicted_cxcywh_B4), cxcywh_to_xyxy(true_cxcywh_B4))
    size_B2 = true_cxcywh_B4[:, 2:].clamp(min=LEAST_SIDE)
    return {
        "probe_box_iou": iou_B,
        "iou_above_50": (iou_B > 0.5).float(),
        "iou_above_75": (iou_B > 0.75).float(),
        "centre_error": (predicted_cxcywh_B4 - true_cxcywh_B4)[:, :2].norm(dim=-1),
        "size_error": ((predicted_cxcywh_B4[:, 2:] - size_B2).abs() / size_B2).mean(dim=-1),
    }


def mean_box(boxes_cxcywh_B4: Tensor) -> Tensor:
    """[4], the trivial predictor: the mean centre and size of the training boxes, whatever the picture shows."""
    return boxes_cxcywh_B4.mean(dim=0)
