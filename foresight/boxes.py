"""Boxes in their two formats: corners `[x0, y0, x1, y1]`, and centre with size `[cx, cy, w, h]`."""

import torch
from torch import Tensor


def cxcywh_to_xyxy(boxes_cxcywh: Tensor) -> Tensor:
    """[..., 4] corners of boxes given by centre and size."""
    centre, half = boxes_cxcywh[..., :2], boxes_cxcywh[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def xyxy_to_cxcywh(boxes_xyxy: Tensor) -> Tensor:
    """[..., 4] centre and size of boxes given by their corners."""
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return torch.cat([(low + high) / 2, high - low], dim=-1)


def elementwise_iou(first_xyxy: Tensor, second_xyxy: Tensor) -> Tensor:
    """[...] intersection over union of each box with the one at its place; 0 for two boxes without area."""
    low = torch.maximum(first_xyxy[..., :2], second_xyxy[..., :2])
    high = torch.minimum(first_xyxy[..., 2:], second_xyxy[..., 2:])
    overlap = (high - low).clamp(min=0).prod(dim=-1)
    union = _area(first_xyxy) + _area(second_xyxy) - overlap
    return torch.where(union > 0, overlap / union.clamp(min=1e-12), 0.0)


def _area(boxes_xyxy: Tensor) -> Tensor:
    return (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).prod(dim=-1)
