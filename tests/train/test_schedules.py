import math

import pytest

from foresight.config import FIELDS_IGNORED_BY_SCHEDULE, TrainConfig
from foresight.train.schedules import SCHEDULES, Length


def factors(schedule: str, n_steps: int, steps_per_epoch: int = 1, warmup_frac: float = 0.1) -> list[float]:
    config, length = TrainConfig(warmup_frac=warmup_frac), Length(n_steps, steps_per_epoch)
    return [SCHEDULES[schedule](step, length, config) for step in range(n_steps)]


def test_the_table_holds_what_the_config_allows():
    allowed = set(TrainConfig.model_fields["schedule"].annotation.__args__)
    assert set(SCHEDULES) == set(FIELDS_IGNORED_BY_SCHEDULE) == allowed


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_step_is_without_a_rate_or_above_the_peak(schedule):
    for n_epochs, steps_per_epoch in ((1, 1), (7, 1), (4, 32), (40, 3)):
        taken = factors(schedule, n_epochs * steps_per_epoch, steps_per_epoch)
        assert all(0 < factor <= 1 for factor in taken)


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 0.25), (1, 0.5), (2, 0.75), (3, 1.0), (7, 0.75), (9, 0.5), (11, 0.25)],
)
def test_warm_up_and_cosine_of_fifteen_steps_with_a_fifth_of_warm_up(step, factor):
    assert factors("warmup_cosine", 15, warmup_frac=0.2)[step] == pytest.approx(factor, abs=1e-9)


def test_cosine_is_warm_up_and_cosine_without_the_warm_up():
    expected = [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    assert factors("cosine", 4) == pytest.approx(expected)
    assert factors("warmup_cosine", 4, warmup_frac=0.0) == pytest.approx(expected)


def test_the_rate_of_warm_up_and_cosine_never_jumps():
    for n_steps, warmup_frac in ((7, 0.1), (128, 0.1), (33, 0.5)):
        taken = factors("warmup_cosine", n_steps, warmup_frac=warmup_frac)
        peak = taken.index(max(taken))
        assert taken[: peak + 1] == sorted(taken[: peak + 1])
        assert taken[peak:] == sorted(taken[peak:], reverse=True)


def test_constant_is_the_peak():
    assert factors("constant", 5) == [1.0] * 5


def test_a_cycle_is_ten_epochs_and_each_is_half_as_high():
    # Two steps an epoch: the first peak after ten steps, the second, of half the height, after thirty.
    taken = factors("cyclic", 61, steps_per_epoch=2)
    assert [taken[step] for step in (0, 5, 10, 15, 20)] == pytest.approx([0.1, 0.55, 1.0, 0.55, 0.1])
    assert [taken[step] for step in (25, 30, 40, 50, 60)] == pytest.approx([0.325, 0.55, 0.1, 0.325, 0.1])


def test_plateau_rises_over_its_first_epoch_and_stays():
    assert factors("plateau", 12, steps_per_epoch=4) == pytest.approx([0.2, 0.4, 0.6, 0.8] + [1.0] * 8)
