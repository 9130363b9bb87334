import pytest
import torch

from foresight.metrics.spatial import compute_box_iou, compute_mask_iou, compute_picture_iou, tight_boxes_xyxy

WHOLE = torch.ones(1, 8, 8, dtype=torch.bool)


def block(x0: int, y0: int, x1: int, y1: int) -> torch.Tensor:
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[:, y0:y1, x0:x1] = True
    return mask


def probability(mask: torch.Tensor) -> torch.Tensor:
    """What a decoder gives that is just sure enough."""
    return torch.where(mask, 0.51, 0.49)


def test_mask_iou_of_two_overlapping_blocks():
    # 4 x 4 and 4 x 4 pixels, overlapping in 2 x 4: 8 / (16 + 16 - 8).
    iou = compute_mask_iou(probability(block(0, 0, 4, 4)), block(2, 0, 6, 4), WHOLE)
    assert iou.tolist() == pytest.approx([8 / 24])


def test_each_image_has_its_own_mask_iou():
    true = torch.cat([block(0, 0, 4, 4)] * 3)
    predicted = torch.cat([block(0, 0, 4, 4), block(0, 0, 4, 2), block(4, 4, 8, 8)])
    assert compute_mask_iou(probability(predicted), true, WHOLE.expand(3, -1, -1)).tolist() == [1, 0.5, 0]


def test_a_mask_begins_above_one_half():
    assert compute_mask_iou(torch.full((1, 8, 8), 0.5), block(0, 0, 8, 8), WHOLE).item() == 0


def test_mask_iou_of_empty_masks():
    nothing, something = torch.zeros(1, 8, 8, dtype=torch.bool), block(0, 0, 2, 2)
    assert compute_mask_iou(probability(nothing), nothing, WHOLE).item() == 1
    assert compute_mask_iou(probability(something), nothing, WHOLE).item() == 0
    assert compute_mask_iou(probability(nothing), something, WHOLE).item() == 0


def test_masks_in_the_padding_count_for_nothing():
    content = block(0, 0, 8, 4)
    iou = compute_mask_iou(probability(block(0, 0, 4, 8)), block(0, 0, 4, 4) | block(4, 4, 8, 8), content)
    assert iou.item() == 1


def test_tight_boxes_end_after_the_last_pixel():
    masks = torch.cat([block(1, 2, 4, 8), block(7, 0, 8, 1), torch.zeros(1, 8, 8, dtype=torch.bool)])
    assert tight_boxes_xyxy(masks).tolist() == [[1 / 8, 2 / 8, 4 / 8, 1], [7 / 8, 0, 1, 1 / 8], [0, 0, 0, 0]]


def test_a_tight_box_spans_all_parts_of_a_mask():
    assert tight_boxes_xyxy(block(0, 1, 1, 2) | block(5, 6, 6, 7)).tolist() == [[0, 1 / 8, 6 / 8, 7 / 8]]


def test_box_iou_by_hand():
    # The predicted box is [0, 0, .5, .5]; it shares [.25, .25, .5, .5] with the true one: .0625 / (.25 + .25 - .0625).
    true = torch.tensor([[0.25, 0.25, 0.75, 0.75]])
    iou = compute_box_iou(probability(block(0, 0, 4, 4)), true, WHOLE)
    assert iou.tolist() == pytest.approx([0.0625 / 0.4375])


def test_box_iou_compares_each_mask_with_its_own_box():
    masks = torch.cat([block(0, 0, 4, 4), block(4, 4, 8, 8)])
    boxes = torch.tensor([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5]])
    assert compute_box_iou(probability(masks), boxes, WHOLE.expand(2, -1, -1)).tolist() == [1, 0]


def test_box_iou_is_0_where_nothing_is_predicted():
    nothing = torch.zeros(1, 8, 8)
    assert compute_box_iou(nothing, torch.tensor([[0.0, 0, 1, 1]]), WHOLE).item() == 0


def test_box_iou_is_not_defined_where_no_box_is_annotated():
    boxes = torch.tensor([[0.0, 0, 0, 0], [0.0, 0, 0.5, 0.5]])
    for prediction in (torch.zeros(2, 8, 8), probability(block(0, 0, 4, 4)).expand(2, -1, -1)):
        assert compute_box_iou(prediction, boxes, WHOLE.expand(2, -1, -1)).isnan().tolist() == [True, False]


def test_a_mask_in_the_padding_does_not_widen_its_box():
    predicted = block(0, 0, 4, 4) | block(0, 6, 1, 7)
    true = torch.tensor([[0, 0, 0.5, 0.5]])
    assert compute_box_iou(probability(predicted), true, block(0, 0, 8, 5)).item() == 1


def picture(level: float, objects: list[tuple[torch.Tensor, float]]) -> torch.Tensor:
    """A grey picture [1, 3, 8, 8] whose red channel is another in some masks."""
    pixels = torch.full((1, 3, 8, 8), level)
    for mask, red in objects:
        pixels[:, 0] = torch.where(mask, red, pixels[:, 0])
    return pixels


def test_picture_iou_is_of_the_pixels_unlike_the_background_in_one_channel():
    # 4 x 4 and 4 x 4 pixels, overlapping in 2 x 4; what differs by 0.2 is background.
    drawn = picture(0.5, [(block(0, 0, 4, 4), 0.8), (block(6, 6, 8, 8), 0.7)])
    true = block(2, 0, 6, 4)
    iou = compute_picture_iou(drawn, picture(0.5, [(true, 0.0)]), true, WHOLE)
    assert iou.tolist() == pytest.approx([8 / 24])


def test_the_background_is_that_of_the_true_picture_whatever_was_drawn():
    true = block(2, 2, 6, 6)
    target = picture(0.5, [(true, 1.0)])
    assert compute_picture_iou(picture(1.0, []), target, true, WHOLE).tolist() == [16 / 64]
    assert compute_picture_iou(picture(0.5, []), target, true, WHOLE).tolist() == [0]


def test_an_object_at_the_border_is_no_background():
    # It covers 15 of the 32 border pixels.
    true = block(0, 0, 6, 6) | block(7, 0, 8, 2)
    target = picture(0.2, [(true, 0.9)])
    assert compute_picture_iou(target, target, true, WHOLE).tolist() == [1]


def test_picture_iou_ignores_the_padding():
    true, content = block(2, 2, 6, 6), block(0, 0, 8, 6)
    drawn = picture(0.5, [(true | block(0, 6, 8, 8), 1.0)])
    assert compute_picture_iou(drawn, picture(0.5, [(true, 1.0)]), true, content).tolist() == [1]
