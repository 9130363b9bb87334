import pytest
import torch
import torch.nn.functional as F

from foresight.metrics.reconstruction import compute_mse, compute_psnr, compute_ssim, fill_padding

WHOLE = torch.ones(1, 32, 32, dtype=torch.bool)


def flat(value: float, n: int = 1) -> torch.Tensor:
    return torch.full((n, 3, 32, 32), value)


def noise(n: int, seed: int) -> torch.Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def ssim_by_its_definition(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Wang et al. 2004 on grey images [B, H, W]: 11 x 11 Gaussian window of sd 1.5, borders reflected."""
    places = torch.arange(11.0, dtype=torch.float64) - 5
    line = torch.exp(-places.square() / (2 * 1.5**2))
    window = (line[:, None] * line / line.sum() ** 2)[None, None]
    x, y = (F.pad(image[:, None], (5, 5, 5, 5), mode="reflect") for image in (first, second))
    mean_x, mean_y = F.conv2d(x, window), F.conv2d(y, window)
    var_x, var_y = F.conv2d(x * x, window) - mean_x**2, F.conv2d(y * y, window) - mean_y**2
    covariance = F.conv2d(x * y, window) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    index = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return (index / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean(dim=(1, 2, 3))


def test_mse_is_the_mean_over_pixels_and_colours():
    prediction, target = flat(0.5, 2), flat(0.5, 2)
    prediction[0, 0] += 0.3  # one colour of three
    prediction[1, :, :8] += 0.4  # a quarter of the rows
    mse = compute_mse(prediction, target, WHOLE.expand(2, -1, -1))
    assert mse.tolist() == pytest.approx([0.09 / 3, 0.16 / 4])


def test_mse_counts_the_picture_and_not_its_padding():
    content = WHOLE.clone()
    content[:, :16] = False
    prediction = flat(0.5)
    prediction[:, :, 16:24] += 0.4  # half of the picture that is left
    prediction[:, :, :16] = 9
    assert compute_mse(prediction, flat(0.5), content).tolist() == pytest.approx([0.16 / 2])


def test_psnr_is_ten_decibels_for_each_power_of_ten_and_100_at_most():
    assert compute_psnr(torch.tensor([1.0, 0.1, 0.001, 1e-12, 0.0])).tolist() == pytest.approx([0, 10, 30, 100, 100])


def test_ssim_of_two_flat_pictures_is_their_luminance_term():
    # No variance and no covariance: (2 a b + c1) / (a^2 + b^2 + c1) with c1 = 1e-4.
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert compute_ssim(flat(0.2).double(), flat(0.6).double(), WHOLE).item() == pytest.approx(expected, abs=1e-6)


def test_ssim_is_that_of_its_definition_on_grey_images():
    target = noise(3, seed=0).double()  # in single precision the variances lose four digits
    prediction = (0.7 * target + 0.3 * noise(3, seed=1)).double()
    prediction[2] = 1 - target[2]
    expected = ssim_by_its_definition(prediction.mean(dim=1), target.mean(dim=1))
    ours = compute_ssim(prediction, target, WHOLE.expand(3, -1, -1))
    assert ours.tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    assert ours[2] < 0 < ours[0] < 1


def test_each_picture_has_its_own_ssim():
    target, prediction = noise(2, seed=0), noise(2, seed=1)
    prediction[1] = target[1]
    assert compute_ssim(prediction, target, WHOLE.expand(2, -1, -1)).tolist() == [
        pytest.approx(compute_ssim(prediction[:1], target[:1], WHOLE).item(), abs=1e-5),
        pytest.approx(1, abs=1e-5),
    ]


def test_padding_is_filled_from_the_target():
    content = WHOLE.clone()
    content[:, :, :4] = False
    filled = fill_padding(flat(0.2), flat(0.7), content)
    assert (filled[..., :4] == 0.7).all()
    assert (filled[..., 4:] == 0.2).all()
