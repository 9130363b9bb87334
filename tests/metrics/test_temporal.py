import pytest
import torch

from foresight.metrics import METRICS, METRICS_OF_CLIPS
from foresight.metrics.lpips import Lpips
from foresight.metrics.temporal import compute_temporal_variance, temporal_name


def brightness_distance() -> Lpips:
    """A stand-in for LPIPS: the difference of two frames' brightness, so that a variance can be computed by hand."""

    class Difference(torch.nn.Module):
        def forward(self, a, b):
            return ((a - b) / 2).mean(dim=(1, 2, 3)).abs()

    return Lpips("lpips", "stand-in", Difference())


def clip(*brightness: float) -> torch.Tensor:
    return torch.tensor(brightness).view(-1, 1, 1, 1).expand(-1, 3, 32, 32)


def test_the_variance_of_the_changes_by_hand():
    # Changes 0.1, 0.3, 0.2: mean 0.2, squared deviations 0.01, 0.01, 0, over three.
    value = compute_temporal_variance(clip(0.0, 0.1, 0.4, 0.6), 4, brightness_distance())
    assert value.tolist() == pytest.approx([0.02 / 3])


def test_an_even_change_and_no_change_have_no_variance():
    lpips = brightness_distance()
    pictures = torch.cat([clip(0.1, 0.2, 0.3), clip(0.5, 0.5, 0.5), clip(0.0, 0.4, 0.4)])
    assert compute_temporal_variance(pictures, 3, lpips).tolist() == pytest.approx([0, 0, 0.04], abs=1e-7)


def test_frames_are_never_compared_across_clips():
    lpips = brightness_distance()
    pictures = torch.cat([clip(0.0, 0.1, 0.2), clip(0.9, 0.8, 0.7)])
    assert compute_temporal_variance(pictures, 3, lpips).tolist() == pytest.approx([0, 0], abs=1e-7)


def test_flicker_is_more_than_even_motion_by_lpips_itself(lpips):
    still = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).expand(4, -1, -1, -1)
    flicker = still.clone()
    flicker[2] = 1 - flicker[2]
    values = compute_temporal_variance(torch.cat([still, flicker]), 4, lpips)
    assert values[0] == 0 < values[1]


def test_the_name_says_which_trunk_measured(lpips):
    names = {temporal_name(lpips), temporal_name(brightness_distance())}
    assert names == {"temporal_lpips_random_trunk_variance", "temporal_lpips_variance"}
    assert names <= set(METRICS)


def test_what_a_still_picture_is_best_at_has_no_floor(lpips):
    still = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1, -1)
    assert compute_temporal_variance(still, 3, lpips).tolist() == [METRICS[temporal_name(lpips)].low]
    assert not any(METRICS[name].has_floor for name in METRICS_OF_CLIPS)
