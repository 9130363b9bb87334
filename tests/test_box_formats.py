import torch

from foresight.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh


def test_centre_and_size_are_those_of_the_corners():
    assert xyxy_to_cxcywh(torch.tensor([0.0, 0.25, 0.5, 1.0])).tolist() == [0.25, 0.625, 0.5, 0.75]
    assert cxcywh_to_xyxy(torch.tensor([0.25, 0.625, 0.5, 0.75])).tolist() == [0.0, 0.25, 0.5, 1.0]


def test_there_and_back_changes_nothing():
    boxes = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(cxcywh_to_xyxy(xyxy_to_cxcywh(boxes)), boxes, atol=1e-6)
