"""A trivial detector that ignores the picture. Its scores stand next to every detector's."""

import torch

from foresight.features.stage import StagedObjects
from foresight.metrics.detection import ScoredBoxes


def mean_boxes(train: StagedObjects, n_images: int) -> ScoredBoxes:
    """In every image, each class once: its mean training box, scored by its share of the training objects."""
    classes_T = train.classes_NK[train.is_object]
    boxes_T4 = train.boxes_xyxy_NK4[train.is_object]
    present_C = classes_T.unique()
    boxes_C4 = torch.stack([boxes_T4[classes_T == number].mean(dim=0) for number in present_C])
    share_C = torch.stack([(classes_T == number).float().mean() for number in present_C])
    return ScoredBoxes(
        boxes_C4.expand(n_images, -1, -1), present_C.expand(n_images, -1), share_C.expand(n_images, -1)
    )  # fmt: skip


TRIVIAL_DETECTORS = {"mean_boxes": mean_boxes}
