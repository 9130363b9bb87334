import math

import pytest
import torch

from foresight.metrics import METRICS
from foresight.metrics.boxes import compute_box_metrics, mean_box

TRUE = (0.5, 0.5, 0.4, 0.2)


def measure(predicted, true=TRUE) -> dict[str, float]:
    return {name: v.item() for name, v in compute_box_metrics(torch.tensor([predicted]), torch.tensor([true])).items()}


def test_a_box_moved_by_half_its_width_by_hand():
    found = measure((0.7, 0.5, 0.4, 0.2))
    expected = {"probe_box_iou": 1 / 3, "iou_above_50": 0, "iou_above_75": 0, "centre_error": 0.2, "size_error": 0}
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_box_of_another_size_by_hand():
    found = measure((0.5, 0.5, 0.3, 0.2))  # a quarter too narrow, of the right height
    assert found == pytest.approx(
        {"probe_box_iou": 0.75, "iou_above_50": 1, "iou_above_75": 0, "centre_error": 0, "size_error": 0.125}, abs=1e-6
    )


def test_the_right_box_is_perfect():
    assert measure(TRUE) == pytest.approx(
        {"probe_box_iou": 1, "iou_above_50": 1, "iou_above_75": 1, "centre_error": 0, "size_error": 0}, abs=1e-6
    )


def test_centre_errors_are_distances_in_the_plane():
    assert measure((0.53, 0.46, 0.4, 0.2))["centre_error"] == pytest.approx(0.05, abs=1e-6)
    assert measure((1.0, 1.0, 0.4, 0.2), (0.0, 0.0, 0.4, 0.2))["centre_error"] == pytest.approx(math.sqrt(2))


def test_every_image_has_its_own_value_in_the_declared_range():
    generator = torch.Generator().manual_seed(0)
    predicted, true = torch.rand(200, 4, generator=generator), torch.rand(200, 4, generator=generator)
    true[:5, 2:] = 0  # an annotation without area
    for name, values in compute_box_metrics(predicted, true).items():
        assert values.shape == (200,)
        assert ((values >= METRICS[name].low) & (values <= METRICS[name].high)).all(), name
        alone = torch.cat([compute_box_metrics(p[None], t[None])[name] for p, t in zip(predicted, true, strict=True)])
        assert torch.equal(values, alone)


def test_the_mean_box_is_of_centres_and_sizes():
    boxes = torch.tensor([[0.2, 0.4, 0.1, 0.1], [0.4, 0.8, 0.3, 0.1]])
    assert mean_box(boxes).tolist() == pytest.approx([0.3, 0.6, 0.2, 0.1])
