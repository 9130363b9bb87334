import pytest
import torch
from torchvision.ops import box_iou

from foresight.boxes import cxcywh_to_xyxy, elementwise_iou, xyxy_to_cxcywh


def random_boxes(n: int, seed: int) -> torch.Tensor:
    """[n, 4] corners in [0, 1]."""
    ends = torch.rand(n, 2, 2, generator=torch.Generator().manual_seed(seed)).sort(dim=1).values
    return ends.flatten(1)


def test_the_two_formats_by_hand():
    corners, centred = torch.tensor([[0.1, 0.2, 0.5, 0.8]]), torch.tensor([[0.3, 0.5, 0.4, 0.6]])
    assert torch.allclose(xyxy_to_cxcywh(corners), centred)
    assert torch.allclose(cxcywh_to_xyxy(centred), corners)


def test_there_and_back_is_the_same_box():
    boxes = random_boxes(50, 0)
    assert torch.allclose(cxcywh_to_xyxy(xyxy_to_cxcywh(boxes)), boxes, atol=1e-6)


@pytest.mark.parametrize(
    ("other", "iou"),
    [
        ((0.0, 0.0, 0.4, 0.4), 1.0),
        ((0.2, 0.0, 0.6, 0.4), 1 / 3),
        ((0.0, 0.0, 0.2, 0.2), 1 / 4),
        ((0.4, 0.0, 0.8, 0.4), 0.0),
        ((0.5, 0.5, 0.6, 0.6), 0.0),
        ((0.1, 0.1, 0.1, 0.3), 0.0),
    ],
)
def test_overlaps_by_hand(other, iou):
    boxes = torch.tensor([[0.0, 0.0, 0.4, 0.4]]), torch.tensor([other])
    assert elementwise_iou(*boxes).item() == pytest.approx(iou)
    assert elementwise_iou(*boxes[::-1]).item() == pytest.approx(iou)


def test_two_boxes_without_area_do_not_overlap():
    point = torch.tensor([[0.3, 0.3, 0.3, 0.3]])
    assert elementwise_iou(point, point).item() == 0


def test_it_is_the_diagonal_of_all_pairs():
    first, second = random_boxes(50, 1), random_boxes(50, 2)
    assert torch.allclose(elementwise_iou(first, second), box_iou(first, second).diagonal(), atol=1e-6)
