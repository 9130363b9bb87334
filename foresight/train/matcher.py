"""Which query answers for which object: the cheapest one-to-one assignment of each image (Carion et al. 2020).

Axes: L decoder layers, B images, Q queries, C classes, K objects of an image, T objects of all images together.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from foresight.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from foresight.config import DetectorConfig
from foresight.features.stage import StagedObjects
from foresight.train.loop import DivergedError


@torch.no_grad()
def match_objects(
    probs_LBQC: Tensor, boxes_cxcywh_LBQ4: Tensor, objects: StagedObjects, config: DetectorConfig
) -> Tensor:
    """[L, B, Q] the object that each query answers for, -1 for none. Of more objects than queries, some go without.

    Raises DivergedError when a prediction is no longer a number.
    """
    # Here and not above: the import takes half a second, and a plan that counts models needs none of it.
    from scipy.optimize import linear_sum_assignment

    cost_LBQT = compute_costs(probs_LBQC, boxes_cxcywh_LBQ4, objects, config).cpu().numpy()
    if not np.isfinite(cost_LBQT).all():
        raise DivergedError("the detector's predictions are no longer numbers, so they cannot be matched to objects")
    assignment_LBQ = np.full(cost_LBQT.shape[:3], -1)
    ends = objects.is_object.sum(dim=1).cumsum(dim=0).tolist()
    for image, (start, end) in enumerate(pairwise([0, *ends])):
        for layer, cost_BQT in enumerate(cost_LBQT):
            queries, matched = linear_sum_assignment(cost_BQT[image, :, start:end])
            assignment_LBQ[layer, image, queries] = matched
    return torch.from_numpy(assignment_LBQ).to(probs_LBQC.device)


def compute_costs(
    probs_LBQC: Tensor, boxes_cxcywh_LBQ4: Tensor, objects: StagedObjects, config: DetectorConfig
) -> Tensor:
    """[L, B, Q, T]: `class_cost (-p of the object's class) + l1_cost L1 + giou_cost (-GIoU)`, boxes' L1 as cxcywh.

    Every query of every image is compared with the objects of all images, in order, padding left out.
    """
    from torchvision.ops import generalized_box_iou  # here for the same reason

    classes_T = objects.classes_NK[objects.is_object]
    boxes_xyxy_T4 = objects.boxes_xyxy_NK4[objects.is_object]
    boxes_P4 = boxes_cxcywh_LBQ4.flatten(0, 2)
    l1_PT = torch.cdist(boxes_P4, xyxy_to_cxcywh(boxes_xyxy_T4), p=1)
    giou_PT = generalized_box_iou(cxcywh_to_xyxy(boxes_P4), boxes_xyxy_T4)
    prob_PT = probs_LBQC.flatten(0, 2)[:, classes_T]
    cost_PT = config.l1_cost * l1_PT - config.class_cost * prob_PT - config.giou_cost * giou_PT
    return cost_PT.unflatten(0, boxes_cxcywh_LBQ4.shape[:3])
