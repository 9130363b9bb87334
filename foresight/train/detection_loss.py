"""What a detector minimises: classification, L1 and generalised IoU of the boxes (Carion et al. 2020).

Axes: L decoder layers, B images, Q queries, C classes, K objects, P matched queries of all layers and images together.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from foresight.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from foresight.config import DetectorConfig
from foresight.features.stage import StagedObjects
from foresight.models.denoising import N_GROUPS
from foresight.models.detr import Detections, class_probs
from foresight.train.matcher import match_objects

FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0  # Lin et al. 2017


@dataclass(frozen=True)
class Counts:
    """What the losses of some images are divided by, where these are a part of a batch: what the whole batch holds."""

    n_boxes: Tensor  # queries of all layers that answer for an object
    n_queries: int
    images_per_image: float  # of the batch, for each of the part: a part's mean weighs as much as it has images

    @classmethod
    def of(cls, objects_per_image: Tensor, n_layers: int, n_queries: int, n_images: int) -> "Counts":
        """Of a batch of which `n_images` are at hand. Of more objects than queries, some go without one."""
        n_boxes = n_layers * objects_per_image.clamp(max=n_queries).sum()
        in_batch = len(objects_per_image)
        return cls(n_boxes, n_layers * in_batch * n_queries, in_batch / n_images)


def detection_losses(
    detections: Detections, objects: StagedObjects, config: DetectorConfig, all_objects: StagedObjects | None = None
) -> dict[str, Tensor]:
    """Scalars: `loss`, which is minimised, and its parts `class`, `l1`, `giou`, and `denoising` where queries are noised.

    `loss` is the sum over the supervised decoder layers: all of them with `auxiliary_loss`, else the last; the parts
    are means over them. Queries beyond `n_queries` are noised ones: what they answer for is known without matching.
    `all_objects` are those of the whole batch, where these images are a part of one: the mean over its parts, each weighing
    as much as it has images, is the loss of the batch.
    """
    in_batch = (objects if all_objects is None else all_objects).is_object.sum(dim=1)
    n_layers = len(detections.boxes_cxcywh_LBQ4) if config.auxiliary_loss else 1
    logits_LBQC, boxes_LBQ4 = (x[-n_layers:, :, : config.n_queries] for x in detections)
    assignment_LBQ = match_objects(class_probs(logits_LBQC, config), boxes_LBQ4, objects, config)
    counts = Counts.of(in_batch, n_layers, config.n_queries, len(objects))
    parts = compute_losses(logits_LBQC, boxes_LBQ4, assignment_LBQ, objects, config, counts)
    losses = {"loss": n_layers * weighted_loss(parts, config), **parts}
    logits_LBMC, boxes_LBM4 = (x[-n_layers:, :, config.n_queries :] for x in detections)
    if boxes_LBM4.shape[2]:
        assignment_LBM = assign_noised(objects).expand(n_layers, -1, -1)
        counts = Counts.of(N_GROUPS * in_batch, n_layers, boxes_LBM4.shape[2], len(objects))
        of_noised = compute_losses(
            logits_LBMC, boxes_LBM4, assignment_LBM, objects, config, counts, rest_is_padding=True
        )
        losses["denoising"] = weighted_loss(of_noised, config)
        losses["loss"] = losses["loss"] + n_layers * losses["denoising"]
    return losses


def weighted_loss(parts: dict[str, Tensor], config: DetectorConfig) -> Tensor:
    """`class_weight class + l1_weight l1 + giou_weight giou`."""
    return config.class_weight * parts["class"] + config.l1_weight * parts["l1"] + config.giou_weight * parts["giou"]


def compute_losses(
    logits_LBQC: Tensor,
    boxes_cxcywh_LBQ4: Tensor,
    assignment_LBQ: Tensor,
    objects: StagedObjects,
    config: DetectorConfig,
    counts: Counts,
    rest_is_padding: bool = False,
) -> dict[str, Tensor]:
    """Scalars `class`, `l1` and `giou` (1 - GIoU), given which object each query answers for (-1: none).

    `l1` and `giou` are sums over the matched queries divided by their number in the batch, the number of true boxes.
    Cross-entropy is the mean with `no_object_weight` on the other queries; focal loss a sum, divided as the boxes are. With
    `rest_is_padding` a query without an object has no part in anything.
    """
    # Here and not above: torchvision's import takes as long as torch's, and a plan that counts models needs none of it.
    from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

    matched_LBQ = assignment_LBQ >= 0
    object_LBQ = assignment_LBQ.clamp(min=0)
    images_B1 = torch.arange(len(objects), device=object_LBQ.device)[:, None]
    true_LBQ = objects.classes_NK[images_B1, object_LBQ]
    true_xyxy_P4 = objects.boxes_xyxy_NK4[images_B1, object_LBQ][matched_LBQ]
    box_P4 = boxes_cxcywh_LBQ4[matched_LBQ]
    n_boxes = counts.n_boxes.clamp(min=1)
    n_logits = logits_LBQC.shape[-1]
    if config.class_loss == "focal":
        one_hot_LBQC = F.one_hot(true_LBQ.clamp(min=0), n_logits) * matched_LBQ[..., None]
        focal_LBQC = sigmoid_focal_loss(logits_LBQC, one_hot_LBQC.to(logits_LBQC.dtype), FOCAL_ALPHA, FOCAL_GAMMA)
        class_loss = (focal_LBQC[matched_LBQ] if rest_is_padding else focal_LBQC).sum() / n_boxes
    else:
        target_LBQ = torch.where(matched_LBQ, true_LBQ, n_logits - 1)
        rest_weight = 0.0 if rest_is_padding else config.no_object_weight
        weight_LBQ = torch.where(matched_LBQ, 1.0, rest_weight)
        all_weights = counts.n_boxes + rest_weight * (counts.n_queries - counts.n_boxes)
        # cross_entropy wants the classes on the second axis: [L, C, B, Q] and [L, B, Q].
        entropy_LBQ = F.cross_entropy(logits_LBQC.movedim(-1, 1), target_LBQ, reduction="none")
        # Of a batch without any object the noised queries are all padding, and their sum is 0 as well.
        class_loss = (weight_LBQ * entropy_LBQ).sum() / all_weights.clamp(min=1e-6)
    losses = {
        "class": class_loss,
        "l1": (box_P4 - xyxy_to_cxcywh(true_xyxy_P4)).abs().sum() / n_boxes,
        "giou": generalized_box_iou_loss(cxcywh_to_xyxy(box_P4), true_xyxy_P4, reduction="sum") / n_boxes,
    }
    return {name: counts.images_per_image * loss for name, loss in losses.items()}


def assign_noised(objects: StagedObjects) -> Tensor:
    """[B, M] the object that each noised query was made from, -1 in padding."""
    numbers_K = torch.arange(objects.classes_NK.shape[1], device=objects.classes_NK.device)
    return torch.where(objects.is_object, numbers_K, -1).repeat(1, N_GROUPS)
