"""Detection metrics: COCO's mean average precision over a whole split, and what was found in each image.

Every query is one detection: its best class with that class's probability as score, and no score is too low to count.
Axes: N images, Q detections, K objects.
"""

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from foresight.features.stage import StagedObjects

FOUND_IOU = 0.5


@dataclass(frozen=True)
class ScoredBoxes:
    """Detections of some images; boxes as in StagedObjects."""

    boxes_xyxy_NQ4: Tensor
    classes_NQ: Tensor
    scores_NQ: Tensor


def compute_map(detected: ScoredBoxes, objects: StagedObjects) -> dict[str, float]:
    """`map` (mean over IoU 0.5 to 0.95), `map_50` and `map_75`, by pycocotools.

    Classes without a true object have no average precision and no part in the mean.
    """
    from pycocotools.cocoeval import COCOeval

    n_images, n_classes = len(objects), len(objects.class_names)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        evaluator = COCOeval(
            _coco_set(_true_annotations(objects), n_images, n_classes),
            _coco_set(_annotations(detected), n_images, n_classes),
            "bbox",
        )
        evaluator.params.areaRng, evaluator.params.areaRngLbl = (
            [[0, 1e10]],
            ["all"],
        )  # sizes apart would cost four times
        evaluator.params.maxDets = [100]
        evaluator.evaluate()
        evaluator.accumulate()
    precision_TRC = evaluator.eval["precision"][
        ..., 0, 0
    ]  # IoU threshold, recall, class; -1 for a class without objects
    present_C = (precision_TRC > -1).all(axis=(0, 1))
    by_threshold = precision_TRC[:, :, present_C].mean(axis=(1, 2))
    at = {
        round(float(threshold), 2): float(ap)
        for threshold, ap in zip(evaluator.params.iouThrs, by_threshold, strict=True)
    }
    return {"map": float(by_threshold.mean()), "map_50": at[0.5], "map_75": at[0.75]}


def compute_found(detected: ScoredBoxes, objects: StagedObjects) -> dict[str, np.ndarray]:
    """[N] of each image: `matched_iou` and `recall_50`.

    Objects and detections of the same class are paired one to one so that the sum of their IoU is largest.
    """
    # Here and not above: their imports take as long as torch's, and a plan that counts models needs none of it.
    from scipy.optimize import linear_sum_assignment
    from torchvision.ops import box_iou

    matched_iou, recall = np.zeros(len(objects)), np.zeros(len(objects))
    for image, n in enumerate(objects.is_object.sum(dim=1).tolist()):
        iou_KQ = box_iou(objects.boxes_xyxy_NK4[image, :n], detected.boxes_xyxy_NQ4[image])
        same_KQ = objects.classes_NK[image, :n, None] == detected.classes_NQ[image]
        iou = (iou_KQ * same_KQ).double().cpu().numpy()
        paired = iou[linear_sum_assignment(-iou)]
        matched_iou[image] = paired.sum() / n
        recall[image] = (paired >= FOUND_IOU).sum() / n
    return {"matched_iou": matched_iou, "recall_50": recall}


def _coco_set(annotations: list[dict[str, Any]], n_images: int, n_classes: int) -> Any:
    """pycocotools' record of a data set. Its own way of reading detections cannot read none."""
    from pycocotools.coco import COCO

    data = COCO()
    data.dataset = {
        "images": [{"id": image} for image in range(n_images)],
        "categories": [{"id": number} for number in range(n_classes)],
        "annotations": [{"id": k, "iscrowd": 0, **annotation} for k, annotation in enumerate(annotations, start=1)],
    }
    data.createIndex()
    return data


def _true_annotations(objects: StagedObjects) -> list[dict[str, Any]]:
    boxes, classes = objects.boxes_xyxy_NK4.double().cpu().numpy(), objects.classes_NK.cpu().numpy()
    return [_annotation(image, classes[image, k], boxes[image, k]) for image, k in np.argwhere(classes >= 0)]


def _annotations(detected: ScoredBoxes) -> list[dict[str, Any]]:
    boxes, classes = detected.boxes_xyxy_NQ4.double().cpu().numpy(), detected.classes_NQ.cpu().numpy()
    scores = detected.scores_NQ.double().cpu().numpy()
    return [
        _annotation(image, classes[image, q], boxes[image, q]) | {"score": scores[image, q]}
        for image, q in np.ndindex(classes.shape)
    ]


def _annotation(image: int, number: int, box_xyxy: np.ndarray) -> dict[str, Any]:
    x0, y0, x1, y1 = box_xyxy.tolist()
    box_xywh = [x0, y0, x1 - x0, y1 - y0]
    return {"image_id": int(image), "category_id": int(number), "bbox": box_xywh, "area": box_xywh[2] * box_xywh[3]}
