import math

import pytest
import torch

from foresight.boxes import cxcywh_to_xyxy
from foresight.config import DetectorConfig
from foresight.features.stage import StagedObjects
from foresight.models.denoising import N_GROUPS
from foresight.models.detr import Detections
from foresight.train.detection_loss import Counts, assign_noised, compute_losses, detection_losses

# One image with one object of class 1 in its middle; two queries, two classes and "no object".
TRUE = torch.tensor([[[0.5, 0.5, 0.4, 0.4]]])
OBJECTS = StagedObjects(cxcywh_to_xyxy(TRUE), torch.tensor([[1]]), ("a", "b"))
BOXES = torch.tensor([[[[0.5, 0.5, 0.2, 0.4], [0.1, 0.1, 0.1, 0.1]]]])
LOGITS = torch.tensor([[[[0.0, 1.0, 2.0], [0.0, 3.0, 1.0]]]])
FIRST = torch.tensor([[[0, -1]]])  # the first query answers for the object


def counts(assignment_LBQ: torch.Tensor) -> Counts:
    """Of images that are a whole batch."""
    return Counts((assignment_LBQ >= 0).sum(), assignment_LBQ.numel(), 1.0)


def test_box_losses_by_hand():
    losses = compute_losses(LOGITS, BOXES, FIRST, OBJECTS, DetectorConfig(), counts(FIRST))
    assert losses["l1"].item() == pytest.approx(0.2)
    assert losses["giou"].item() == pytest.approx(0.5, rel=1e-5)  # half the object, and nothing else


def test_cross_entropy_by_hand():
    losses = compute_losses(LOGITS, BOXES, FIRST, OBJECTS, DetectorConfig(no_object_weight=0.5), counts(FIRST))
    log_sum = [math.log(sum(map(math.exp, row))) for row in LOGITS[0, 0].tolist()]
    expected = ((log_sum[0] - 1.0) + 0.5 * (log_sum[1] - 1.0)) / 1.5
    assert losses["class"].item() == pytest.approx(expected, rel=1e-5)


def test_focal_loss_by_hand():
    losses = compute_losses(LOGITS[..., :2], BOXES, FIRST, OBJECTS, DetectorConfig(class_loss="focal"), counts(FIRST))

    def term(logit: float, target: int) -> float:
        p = 1 / (1 + math.exp(-logit))
        p_true, alpha = (p, 0.25) if target else (1 - p, 0.75)
        return -alpha * (1 - p_true) ** 2 * math.log(p_true)

    expected = term(0.0, 0) + term(1.0, 1) + term(0.0, 0) + term(3.0, 0)
    assert losses["class"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("class_loss", ["cross_entropy", "focal"])
def test_padding_has_no_part_in_the_loss_of_noised_queries(class_loss):
    config = DetectorConfig(class_loss=class_loss)
    logits = LOGITS if class_loss == "cross_entropy" else LOGITS[..., :2]
    both = compute_losses(logits, BOXES, FIRST, OBJECTS, config, counts(FIRST), rest_is_padding=True)
    alone = compute_losses(logits[:, :, :1], BOXES[:, :, :1], FIRST[..., :1], OBJECTS, config, counts(FIRST[..., :1]))
    assert {name: value.item() for name, value in both.items()} == pytest.approx(
        {name: value.item() for name, value in alone.items()}
    )


def test_boxes_are_averaged_over_the_objects_of_the_batch():
    two = StagedObjects(OBJECTS.boxes_xyxy_NK4.repeat(2, 1, 1), OBJECTS.classes_NK.repeat(2, 1), ("a", "b"))
    far = BOXES.clone()
    far[..., 0, 2] = 0.4  # exact in the second image
    losses = compute_losses(
        LOGITS.repeat(1, 2, 1, 1),
        torch.cat([BOXES, far], dim=1),
        FIRST.repeat(1, 2, 1),
        two,
        DetectorConfig(),
        counts(FIRST.repeat(1, 2, 1)),
    )
    assert losses["l1"].item() == pytest.approx(0.1)
    assert losses["giou"].item() == pytest.approx(0.25, rel=1e-5)


def layers() -> Detections:
    """Two decoder layers, the first of which is worse."""
    worse = BOXES.clone()
    worse[..., 0, 3] = 0.2
    return Detections(torch.cat([LOGITS, LOGITS]), torch.cat([worse, BOXES]))


def test_auxiliary_losses_add_those_of_the_earlier_layers():
    config = DetectorConfig(n_queries=2)
    both = detection_losses(layers(), OBJECTS, config)
    first, last = (
        detection_losses(Detections(*(x[layer : layer + 1] for x in layers())), OBJECTS, config) for layer in (0, 1)
    )
    assert both["loss"].item() == pytest.approx((first["loss"] + last["loss"]).item(), rel=1e-5)
    assert both["l1"].item() == pytest.approx((0.4 + 0.2) / 2)
    without = detection_losses(layers(), OBJECTS, DetectorConfig(n_queries=2, auxiliary_loss=False))
    assert without["loss"].item() == pytest.approx(last["loss"].item())
    assert "denoising" not in both


def test_the_loss_is_the_weighted_sum_of_its_parts():
    config = DetectorConfig(n_queries=2, auxiliary_loss=False, class_weight=2.0, l1_weight=3.0, giou_weight=7.0)
    losses = detection_losses(layers(), OBJECTS, config)
    expected = 2 * losses["class"] + 3 * losses["l1"] + 7 * losses["giou"]
    assert losses["loss"].item() == pytest.approx(expected.item())


def test_queries_after_the_matched_ones_answer_for_the_objects_they_were_made_from():
    config = DetectorConfig(n_queries=2, auxiliary_loss=False, denoising=True)
    logits = torch.cat([LOGITS, LOGITS[:, :, :1].repeat(1, 1, N_GROUPS, 1)], dim=2)
    boxes = torch.cat([BOXES, BOXES[:, :, :1].repeat(1, 1, N_GROUPS, 1)], dim=2)
    losses = detection_losses(Detections(logits, boxes), OBJECTS, config)
    plain = detection_losses(Detections(LOGITS, BOXES), OBJECTS, config)
    entropy = math.log(sum(map(math.exp, (0.0, 1.0, 2.0)))) - 1.0
    assert losses["denoising"].item() == pytest.approx(entropy + 5 * 0.2 + 2 * 0.5, rel=1e-5)
    assert losses["loss"].item() == pytest.approx((plain["loss"] + losses["denoising"]).item())


def test_noised_queries_know_their_objects_group_after_group():
    objects = StagedObjects(torch.zeros(2, 2, 4), torch.tensor([[4, -1], [0, 3]]), tuple("abcde"))
    assert assign_noised(objects).tolist() == [[0, -1] * N_GROUPS, [0, 1] * N_GROUPS]
