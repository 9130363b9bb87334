"""Spatial metrics, one value per image: mask_iou, box_iou and picture_iou.

Axes: B batch, H W pixels. The first two compare with the annotated object itself, never with a brightness threshold, so
they are right on any background. The third is for decoders that draw no mask: it reads the object off the picture, by its
difference from the true background, and so is right on plain backgrounds alone.
"""

import torch
from torch import Tensor

from foresight.boxes import elementwise_iou

MASK_THRESHOLD = 0.5
LEAST_DIFFERENCE = 0.25  # from the background, in [0, 1]; every colour of generated shapes differs by more


def compute_mask_iou(mask_prob_BHW: Tensor, mask_BHW: Tensor, content_BHW: Tensor) -> Tensor:
    """[B] intersection over union of the predicted and the true mask inside the picture; 1 where both are empty."""
    return _overlap((mask_prob_BHW > MASK_THRESHOLD) & content_BHW, (mask_BHW > MASK_THRESHOLD) & content_BHW)


def compute_picture_iou(picture_B3HW: Tensor, target_B3HW: Tensor, mask_BHW: Tensor, content_BHW: Tensor) -> Tensor:
    """[B] IoU with the true mask of the pixels unlike the target's background, the median of its border; 1 if both are empty."""
    sides = (target_B3HW[:, :, 0], target_B3HW[:, :, -1], target_B3HW[..., 0], target_B3HW[..., -1])
    background_B3 = torch.cat(sides, dim=-1).median(dim=-1).values
    difference_BHW = (picture_B3HW - background_B3[:, :, None, None]).abs().amax(dim=1)
    return _overlap((difference_BHW > LEAST_DIFFERENCE) & content_BHW, (mask_BHW > MASK_THRESHOLD) & content_BHW)


def _overlap(predicted: Tensor, true: Tensor) -> Tensor:
    union_B = (predicted | true).sum(dim=(1, 2))
    overlap_B = (predicted & true).sum(dim=(1, 2))
    return torch.where(union_B > 0, overlap_B / union_B.clamp(min=1), 1.0)


def tight_boxes_xyxy(mask_BHW: Tensor) -> Tensor:
    """[B, 4] box around each mask's pixels, normalised to [0, 1]; all zero for an empty mask."""
    height, width = mask_BHW.shape[1:]
    boxes = torch.zeros(len(mask_BHW), 4)
    for i, mask_HW in enumerate(mask_BHW):
        rows, columns = mask_HW.any(dim=1).nonzero().flatten(), mask_HW.any(dim=0).nonzero().flatten()
        if len(rows):
            x0, x1 = columns[0] / width, (columns[-1] + 1) / width
            y0, y1 = rows[0] / height, (rows[-1] + 1) / height
            boxes[i] = torch.stack([x0, y0, x1, y1])
    return boxes


def compute_box_iou(mask_prob_BHW: Tensor, boxes_xyxy_B4: Tensor, content_BHW: Tensor) -> Tensor:
    """[B] IoU of the box around the predicted mask with the annotated box; 0 where nothing is predicted.

    nan where no box is annotated: the object of a clip is out of sight in that frame.
    """
    predicted = tight_boxes_xyxy(((mask_prob_BHW > MASK_THRESHOLD) & content_BHW).cpu())
    nothing_B = (predicted[:, 2] <= predicted[:, 0]) | (predicted[:, 3] <= predicted[:, 1])
    iou_B = elementwise_iou(predicted, boxes_xyxy_B4.cpu().to(predicted.dtype))
    is_annotated_B = (boxes_xyxy_B4[:, 2] > boxes_xyxy_B4[:, 0]).cpu()
    return torch.where(is_annotated_B, torch.where(nothing_B, 0.0, iou_B), torch.nan)
