import pytest
import torch

from foresight.features.stage import StagedObjects
from foresight.metrics import METRICS
from foresight.metrics.box_baselines import TRIVIAL_DETECTORS, mean_boxes
from foresight.metrics.detection import ScoredBoxes, compute_found, compute_map

# Two pictures: a cat and a bus; a cat. No picture has a dog.
CAT, BUS, DOG = 0, 1, 2
LEFT, RIGHT = [0.0, 0.0, 0.4, 0.4], [0.6, 0.6, 1.0, 1.0]
NOTHING = [0.0, 0.0, 0.0, 0.0]
OBJECTS = StagedObjects(
    torch.tensor([[LEFT, RIGHT], [RIGHT, NOTHING]]), torch.tensor([[CAT, BUS], [CAT, -1]]), ("cat", "bus", "dog")
)


def detections(*images: list[tuple[list[float], int, float]]) -> ScoredBoxes:
    """For each image a list of (box, class, score)."""
    boxes, classes, scores = ([[found[i] for found in image] for image in images] for i in range(3))
    return ScoredBoxes(torch.tensor(boxes), torch.tensor(classes), torch.tensor(scores))


PERFECT = detections([(LEFT, CAT, 0.9), (RIGHT, BUS, 0.8)], [(RIGHT, CAT, 0.7), (LEFT, DOG, 0.1)])


def test_exact_detections_are_perfect_and_a_class_without_objects_has_no_part():
    assert compute_map(PERFECT, OBJECTS) == pytest.approx({"map": 1, "map_50": 1, "map_75": 1})
    found = compute_found(PERFECT, OBJECTS)
    assert found["matched_iou"].tolist() == pytest.approx([1, 1])
    assert found["recall_50"].tolist() == [1, 1]


def test_no_detections_score_nothing():
    none = ScoredBoxes(torch.zeros(2, 0, 4), torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2, 0))
    assert compute_map(none, OBJECTS) == {"map": 0, "map_50": 0, "map_75": 0}
    assert {name: values.tolist() for name, values in compute_found(none, OBJECTS).items()} == {
        "matched_iou": [0, 0],
        "recall_50": [0, 0],
    }


def test_average_precision_by_hand():
    # Cats by score: wrong .9, right .8, right .7: precision 0, 1/2, 2/3, so 2/3 wherever recall is reached (0 to 1).
    # The bus is found with an IoU of .25 / .4 = .625: right at .5 and .55 and .6, wrong from .65 on.
    flat_bus = [0.6, 0.6, 1.0, 0.85]
    found = detections(
        [(LEFT, CAT, 0.8), (flat_bus, BUS, 0.5)],
        [(LEFT, CAT, 0.9), (RIGHT, CAT, 0.7)],
    )
    assert compute_map(found, OBJECTS) == pytest.approx(
        {"map": (10 * 2 / 3 + 3) / 20, "map_50": (2 / 3 + 1) / 2, "map_75": (2 / 3) / 2}, rel=1e-6
    )


def test_a_low_score_still_counts_and_only_the_order_of_scores_matters():
    low = ScoredBoxes(PERFECT.boxes_xyxy_NQ4, PERFECT.classes_NQ, PERFECT.scores_NQ * 1e-6)
    assert compute_map(low, OBJECTS)["map"] == pytest.approx(1)


def test_an_object_found_twice_is_found_once():
    twice = detections([(LEFT, CAT, 0.9), (LEFT, CAT, 0.8)], [(LEFT, BUS, 0.1), (LEFT, DOG, 0.1)])
    found = compute_found(twice, OBJECTS)
    assert found["recall_50"].tolist() == [0.5, 0]  # the bus of the first picture has no detection
    assert compute_map(twice, OBJECTS)["map_50"] == pytest.approx((51 / 101 + 0) / 2)  # half of the cats, no bus


def test_objects_are_paired_for_the_largest_sum_within_their_class():
    objects = StagedObjects(torch.tensor([[LEFT, [0.2, 0.0, 0.6, 0.4]]]), torch.tensor([[CAT, CAT]]), ("cat", "bus"))
    shifted = [0.1, 0.0, 0.5, 0.4]  # IoU .6 with both
    found = compute_found(detections([(shifted, CAT, 0.9), (LEFT, CAT, 0.1), (LEFT, BUS, 0.5)]), objects)
    assert found["matched_iou"].tolist() == pytest.approx([(1 + 0.6) / 2])
    assert found["recall_50"].tolist() == [1.0]
    wrong_class = compute_found(detections([(LEFT, BUS, 0.9), (LEFT, BUS, 0.1)]), objects)
    assert wrong_class["matched_iou"].tolist() == [0]


def test_every_measured_name_is_declared_and_within_its_range():
    for detected in (PERFECT, mean_boxes(OBJECTS, 2)):
        scores = compute_map(detected, OBJECTS) | {n: v.mean() for n, v in compute_found(detected, OBJECTS).items()}
        assert all(METRICS[name].low <= value <= METRICS[name].high for name, value in scores.items())


@pytest.mark.parametrize("name", TRIVIAL_DETECTORS)
def test_a_trivial_detector_says_the_same_of_every_image(name):
    detected = TRIVIAL_DETECTORS[name](OBJECTS, 5)
    assert detected.boxes_xyxy_NQ4.shape[0] == detected.classes_NQ.shape[0] == detected.scores_NQ.shape[0] == 5
    assert (detected.boxes_xyxy_NQ4 == detected.boxes_xyxy_NQ4[0]).all()


def test_mean_boxes_are_those_of_each_class_scored_by_its_share():
    detected = mean_boxes(OBJECTS, 1)
    assert detected.classes_NQ.tolist() == [[CAT, BUS]]
    assert detected.boxes_xyxy_NQ4[0].tolist() == [pytest.approx([0.3, 0.3, 0.7, 0.7]), pytest.approx(RIGHT)]
    assert detected.scores_NQ[0].tolist() == pytest.approx([2 / 3, 1 / 3])
