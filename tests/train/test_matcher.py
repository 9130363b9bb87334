import itertools

import pytest
import torch
from torchvision.ops import generalized_box_iou

from foresight.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from foresight.config import DetectorConfig
from foresight.features.stage import StagedObjects
from foresight.train.loop import DivergedError
from foresight.train.matcher import compute_costs, match_objects

CONFIG = DetectorConfig()
COUNTS = (1, 3, 2, 4)


def random_boxes(*shape: int, seed: int) -> torch.Tensor:
    return 0.1 + 0.5 * torch.rand(*shape, 4, generator=torch.Generator().manual_seed(seed))


def objects(seed: int = 0) -> StagedObjects:
    is_object = torch.arange(4) < torch.tensor(COUNTS)[:, None]
    classes = torch.randint(5, (4, 4), generator=torch.Generator().manual_seed(seed))
    boxes = cxcywh_to_xyxy(random_boxes(4, 4, seed=seed)) * is_object[..., None]
    return StagedObjects(boxes, torch.where(is_object, classes, -1), tuple("abcde"))


def predictions(n_queries: int, seed: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    probs = torch.randn(2, 4, n_queries, 5, generator=torch.Generator().manual_seed(seed)).softmax(-1)
    return probs, random_boxes(2, 4, n_queries, seed=seed)


def cost(probs_QC, boxes_Q4, true: StagedObjects, image: int, query: int, k: int) -> float:
    """The cost of one pair, by the formula."""
    corners = true.boxes_xyxy_NK4[image, k]
    l1 = (boxes_Q4[query] - xyxy_to_cxcywh(corners)).abs().sum()
    giou = generalized_box_iou(cxcywh_to_xyxy(boxes_Q4[query])[None], corners[None])[0, 0]
    return float(5 * l1 - probs_QC[query, true.classes_NK[image, k]] - 2 * giou)


def test_costs_are_those_of_the_formula():
    probs, boxes = predictions(3)
    true = objects()
    costs = compute_costs(probs, boxes, true, CONFIG)
    column = 0
    for image, n in enumerate(COUNTS):
        for k in range(n):
            for layer, query in itertools.product(range(2), range(3)):
                expected = cost(probs[layer, image], boxes[layer, image], true, image, query, k)
                assert costs[layer, image, query, column] == pytest.approx(expected, abs=1e-5)
            column += 1
    assert costs.shape[-1] == column


@pytest.mark.parametrize("n_queries", [5, 2])  # more and fewer than objects
@pytest.mark.parametrize("seed", range(5))
def test_no_assignment_is_cheaper(n_queries, seed):
    probs, boxes = predictions(n_queries, seed=seed)
    true = objects(seed + 10)
    assignment = match_objects(probs, boxes, true, CONFIG)
    assert assignment.shape == (2, 4, n_queries)
    for layer, (image, n) in itertools.product(range(2), enumerate(COUNTS)):
        table = torch.tensor(
            [
                [cost(probs[layer, image], boxes[layer, image], true, image, q, k) for k in range(n)]
                for q in range(n_queries)
            ]
        )
        if n <= n_queries:
            sums = [
                sum(table[q, k] for k, q in enumerate(chosen)) for chosen in itertools.permutations(range(n_queries), n)
            ]
        else:
            sums = [
                sum(table[q, k] for q, k in enumerate(chosen)) for chosen in itertools.permutations(range(n), n_queries)
            ]
        given = [(q, k) for q, k in enumerate(assignment[layer, image].tolist()) if k >= 0]
        assert len(given) == len({k for _, k in given}) == min(n, n_queries)
        assert sum(table[q, k] for q, k in given) == pytest.approx(float(min(sums)), abs=1e-4)


@pytest.mark.parametrize("name", ["class_cost", "l1_cost", "giou_cost"])
def test_every_cost_can_decide_alone(name):
    only = DetectorConfig(**{other: 0.0 for other in ("class_cost", "l1_cost", "giou_cost") if other != name})
    probs, boxes = predictions(5)
    assert not torch.equal(match_objects(probs, boxes, objects(), only), match_objects(probs, boxes, objects(), CONFIG))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_predictions_that_are_no_numbers_end_the_trial_in_a_sentence(bad):
    probs, boxes = predictions(3)
    boxes[0, 1, 2, 3] = bad
    with pytest.raises(DivergedError, match="no longer numbers"):
        match_objects(probs, boxes, objects(), CONFIG)
