import pytest
import torch

from foresight.metrics.edges import compute_edge_f1

SIDE = 32
WHOLE = torch.ones(1, SIDE, SIDE, dtype=torch.bool)


def square(x0: int, y0: int = 8, side: int = 16, ground: float = 0.8, shape: float = 0.2) -> torch.Tensor:
    picture = torch.full((1, 3, SIDE, SIDE), ground)
    picture[:, :, y0 : y0 + side, x0 : x0 + side] = shape
    return picture


def step(x: int, height: float = 1.0) -> torch.Tensor:
    """Dark up to column x, brighter from there on: one straight edge of 32 pixels."""
    picture = torch.zeros(1, 3, SIDE, SIDE)
    picture[..., x:] = height
    return picture


def f1(prediction: torch.Tensor, target: torch.Tensor, content: torch.Tensor = WHOLE) -> float:
    return compute_edge_f1(prediction, target, content.expand(len(target), -1, -1)).item()


def test_a_copy_has_every_edge():
    assert f1(square(8), square(8)) == 1


def test_an_edge_may_lie_one_pixel_off_and_no_further_at_32_px():
    assert [f1(step(x), step(16)) for x in (15, 16, 17)] == [1, 1, 1]
    assert [f1(step(x), step(16)) for x in (13, 14, 18, 19)] == [0, 0, 0, 0]


def test_at_twice_the_resolution_the_tolerance_is_the_same_share_of_the_side():
    wide = [torch.nn.functional.interpolate(step(x), scale_factor=8) for x in (16, 17)]
    content = torch.ones(1, 256, 256, dtype=torch.bool)
    assert f1(wide[1], wide[0], content) == 0  # 8 px of 256; 4 are allowed
    shifted = torch.roll(wide[0], 4, dims=-1)
    shifted[..., :4] = 0
    assert f1(shifted, wide[0], content) == 1


def test_half_of_the_edges_by_hand():
    # The target has one edge of 32 pixels, the prediction that one and another: precision 1/2, recall 1.
    two = step(10) - step(22)
    assert f1(two, step(10)) == pytest.approx(2 * 0.5 * 1 / 1.5)
    assert f1(step(10), two) == pytest.approx(2 * 1 * 0.5 / 1.5)


def test_pictures_without_an_edge():
    blank = torch.full((1, 3, SIDE, SIDE), 0.5)
    assert f1(blank, blank) == 1
    assert f1(blank + 0.3, blank) == 1  # another brightness is no edge
    assert f1(blank, square(8)) == 0
    assert f1(square(8), blank) == 0


@pytest.mark.parametrize(("ground", "shape"), [(1.0, 0.3), (0.94, 0.2), (0.86, 0.2), (0.2, 0.7), (0.45, 0.55)])
def test_it_is_right_on_any_background(ground, shape):
    # The original's masks began at a brightness of 0.95, its edges at a fixed strength.
    target = square(8, ground=ground, shape=shape)
    assert f1(target, target) == 1
    assert f1(square(9, ground=ground, shape=shape), target) == 1
    assert f1(square(2, 14, ground=ground, shape=shape), target) < 0.3


def test_a_brighter_copy_and_one_of_less_contrast_keep_their_edges():
    target = square(8)
    assert f1(target + 0.1, target) == 1
    assert f1(0.5 + 0.5 * (target - 0.5), target) == 1
    assert f1(0.5 + 0.1 * (target - 0.5), target) == 0  # a tenth of the contrast is too faint for the target's edges


def test_faint_noise_on_a_flat_picture_is_no_edge():
    blank = torch.full((4, 3, SIDE, SIDE), 0.5)
    noise = 0.005 * torch.randn(blank.shape, generator=torch.Generator().manual_seed(0))
    assert compute_edge_f1(blank + noise, blank, WHOLE.expand(4, -1, -1)).tolist() == [1, 1, 1, 1]


def test_edges_of_and_near_the_padding_do_not_count():
    content = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    content[:, :, 8:24] = True
    target = torch.where(content[:, None], step(16), torch.tensor(0.45))
    prediction = torch.where(content[:, None], step(16), torch.rand(1, 3, SIDE, SIDE))
    assert f1(prediction, target, content) == 1


def test_each_picture_has_its_own_value():
    target = torch.cat([step(16)] * 3)
    prediction = torch.cat([step(16), step(10), step(17)])
    assert compute_edge_f1(prediction, target, WHOLE.expand(3, -1, -1)).tolist() == [1, 0, 1]
    assert f1(prediction[1:2], target[1:2]) == 0
