import numpy as np
import pytest
from PIL import Image

from foresight.data import valid_tokens
from foresight.data.letterbox import (
    PADDING_GREY,
    box_to_frame,
    content_pixels,
    content_rect,
    letterbox_image,
    letterbox_mask,
)


def test_the_picture_is_centred_and_keeps_its_aspect():
    assert content_rect(640, 480) == (0, 0.125, 1, 0.875)
    assert content_rect(30, 60) == (0.25, 0, 0.75, 1)
    assert content_rect(7, 7) == (0, 0, 1, 1)
    assert content_pixels(640, 480, 32) == (0, 4, 32, 28)


@pytest.mark.parametrize("size", [(640, 427), (333, 500), (500, 1), (1, 3000), (2, 2)])
@pytest.mark.parametrize("frame_px", [32, 112, 224])
def test_whole_pixels_are_centred_and_half_a_pixel_off_at_most(size, frame_px):
    exact = np.array(content_rect(*size)) * frame_px
    x0, y0, x1, y1 = content_pixels(*size, frame_px)
    assert (x0 + x1, y0 + y1) == (frame_px, frame_px)
    assert 0 <= x0 < x1
    assert 0 <= y0 < y1
    at_least_two_pixels = frame_px * min(size) / max(size) >= 2
    assert abs(np.array([x0, y0, x1, y1]) - exact).max() <= (0.5 + 1e-9 if at_least_two_pixels else 1)


def test_boxes_move_with_the_picture_and_are_clipped_to_it():
    assert box_to_frame((20, 10, 60, 30), 80, 40) == (0.25, 0.375, 0.75, 0.625)
    assert box_to_frame((-5, -5, 100, 20), 80, 40) == (0, 0.25, 1, 0.5)


def test_an_image_is_padded_with_grey_and_its_quarters_stay_where_they_are():
    pixels = np.zeros((40, 80, 3), dtype=np.uint8)
    pixels[:20, :40, 0] = pixels[:20, 40:, 1] = pixels[20:, :40, 2] = 200
    frame = letterbox_image(Image.fromarray(pixels), 32)
    assert (frame[:8] == PADDING_GREY).all()
    assert (frame[24:] == PADDING_GREY).all()
    assert frame[10, 5].tolist() == [200, 0, 0]
    assert frame[10, 26].tolist() == [0, 200, 0]
    assert frame[21, 5].tolist() == [0, 0, 200]
    assert frame[21, 26].tolist() == [0, 0, 0]


def test_a_mask_is_resized_like_its_picture():
    mask = np.zeros((40, 80), dtype=bool)
    mask[10:30, 20:60] = True
    frame = letterbox_mask(mask, 32)
    expected = np.zeros((32, 32), dtype=bool)
    expected[12:20, 8:24] = True
    assert np.array_equal(frame, expected)


def test_a_pixel_belongs_to_the_mask_from_half_cover_on():
    mask = np.zeros((64, 64), dtype=bool)
    mask[0:2, 0:1] = mask[0, 4:5] = mask[10:20, 10:20] = True  # covers of 1/2, 1/4 and 1
    frame = letterbox_mask(mask, 32)
    assert frame[0, 0]
    assert not frame[0, 2]
    assert frame.sum() == 1 + 25


def test_a_mask_thinner_than_a_pixel_is_kept():
    mask = np.zeros((320, 320), dtype=bool)
    mask[105, 42] = True
    frame = letterbox_mask(mask, 32)
    assert frame.sum() == 1
    assert frame[10, 4]


def test_a_token_is_valid_from_half_cover_on():
    # Rows of a 4 x 4 grid are 0.25 high. The first rectangle covers half of rows 0 and 3, the second less.
    tokens = valid_tokens(np.array([[0, 0.125, 1, 0.875], [0, 0.13, 1, 0.87]], dtype=np.float32), 4)
    assert tokens.dtype == bool
    assert tokens.shape == (2, 16)
    assert tokens[0].all()
    assert tokens[1].reshape(4, 4).tolist() == [[False] * 4, [True] * 4, [True] * 4, [False] * 4]


def test_tokens_are_in_raster_order():
    tokens = valid_tokens(np.array([[0.5, 0, 1, 0.5]], dtype=np.float32), 4).reshape(4, 4)
    assert np.argwhere(tokens).tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]


@pytest.mark.parametrize("grid", [1, 4, 8, 16])
def test_every_image_has_a_valid_token(grid):
    rects = np.array([content_rect(*size) for size in [(1000, 1), (1, 1000), (640, 480), (9, 9)]], dtype=np.float32)
    tokens = valid_tokens(rects, grid)
    assert tokens.any(axis=1).all()
    assert tokens[3].all()
    assert np.array_equal(tokens[0], tokens[0][::-1])  # a strip between two rows keeps both
