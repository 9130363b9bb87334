import math

import pytest
import torch

from foresight.models.position import LocalityBias, bilinear_weights, grid_centres, most_square_grid, sine_code


@pytest.mark.parametrize(
    ("n", "grid"), [(1, (1, 1)), (2, (1, 2)), (7, (1, 7)), (12, (3, 4)), (32, (4, 8)), (64, (8, 8)), (128, (8, 16))]
)
def test_grids_are_the_most_square_ones(n, grid):
    assert most_square_grid(n) == grid


def test_centres_are_x_then_y_in_raster_order():
    assert grid_centres(1, 2).tolist() == [[0.25, 0.5], [0.75, 0.5]]
    assert grid_centres(2, 1).tolist() == [[0.5, 0.25], [0.5, 0.75]]
    assert grid_centres(2, 4)[5].tolist() == [0.375, 0.75]


@pytest.mark.parametrize(
    ("place", "weights"),
    [
        ((0.25, 0.25), [1, 0, 0, 0]),  # the centre of a token
        ((0.75, 0.25), [0, 1, 0, 0]),
        ((0.5, 0.5), [0.25, 0.25, 0.25, 0.25]),  # the middle of all
        ((0.5, 0.25), [0.5, 0.5, 0, 0]),
        ((0.375, 0.75), [0, 0, 0.75, 0.25]),
        ((0.0, 1.0), [0, 0, 1, 0]),  # outside the outer centres
    ],
)
def test_bilinear_weights_of_a_2_by_2_grid(place, weights):
    assert bilinear_weights(torch.tensor([place]), 2, 2)[0].tolist() == pytest.approx(weights, abs=1e-6)


def test_bilinear_weights_read_a_slope_exactly_on_a_grid_that_is_not_square():
    places = grid_centres(8, 8)
    weights = bilinear_weights(places, 2, 4)
    read = weights @ grid_centres(2, 4)
    expected = places.clamp(torch.tensor([1 / 8, 1 / 4]), torch.tensor([7 / 8, 3 / 4]))
    assert torch.allclose(read, expected, atol=1e-6)
    assert torch.allclose(weights.sum(dim=1), torch.ones(64))


def test_a_grid_reads_itself_token_by_token():
    assert torch.allclose(bilinear_weights(grid_centres(4, 8), 4, 8), torch.eye(32), atol=1e-5)


def test_the_sine_code_tells_all_cells_of_a_16_by_16_grid_apart():
    code = sine_code(grid_centres(16, 16), 32)
    assert code.shape == (256, 32)
    assert (torch.cdist(code, code) + 100 * torch.eye(256)).min() > 1


def test_the_sine_code_of_a_place_by_hand():
    # Width 8 has two frequencies, half a cycle and 16 cycles a side: x = 1/4 is pi / 4 and 8 pi, y = 1/2 is pi / 2 and 16 pi.
    half = math.sqrt(0.5)
    expected = [half, 0, half, 1, 1, 0, 0, 1]
    assert sine_code(torch.tensor([[0.25, 0.5]]), 8)[0].tolist() == pytest.approx(expected, abs=1e-4)


def test_the_same_place_has_the_same_code_on_every_grid():
    fine, coarse = sine_code(grid_centres(6, 6), 16), sine_code(grid_centres(2, 2), 16)
    assert torch.allclose(fine[7], coarse[0], atol=1e-4)  # the middle of a 3 x 3 group of cells is the coarse centre


@torch.no_grad()
def test_attention_is_biased_by_minus_slope_times_squared_distance():
    bias = LocalityBias(2, torch.tensor([[0.25, 0.5]]), torch.tensor([[0.25, 0.5], [0.75, 0.5], [0.75, 1.0]]))
    bias.log_slope_H.copy_(torch.tensor([1.0, 20.0]).log())
    assert torch.allclose(bias(), torch.tensor([[[0, -0.25, -0.5]], [[0, -5.0, -10.0]]]))


def test_heads_start_from_wide_to_narrow():
    bias = LocalityBias(4, torch.tensor([[0.0, 0.5]]), torch.tensor([[1.0, 0.5]]))()
    assert (bias.flatten().diff() < 0).all()
