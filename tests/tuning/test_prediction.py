"""The interval of an estimate holds what then happens as often as it says, in simulated run logs."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import stdtrit

from foresight.tuning.prediction import (
    ASSUMED_ARM_SD,
    ASSUMED_NOISE_SD,
    ASSUMED_PACE_SD,
    Range,
    around,
    predict_seconds,
    predict_total,
)

N_ARMS, N_BLOCKS = 10, 5


def frame(arms: list[str], work: list[float], seconds: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"arm": arms, "work": work, "seconds": seconds})


def simulate(rng: np.random.Generator, noise: float, lasting: float) -> pd.DataFrame:
    """A study whose arms differ from their work by 20 %, on a machine whose pace is kept from trial to trial by `lasting`."""
    work, rate = rng.uniform(1, 3, N_ARMS), np.exp(rng.normal(0, 0.2, N_ARMS))
    pace = [rng.normal()]
    for _ in range(N_ARMS * N_BLOCKS - 1):
        pace.append(lasting * pace[-1] + np.sqrt(1 - lasting**2) * rng.normal())
    arm = np.tile(np.arange(N_ARMS), N_BLOCKS)
    return frame([f"a{i}" for i in arm], work[arm], work[arm] * rate[arm] * np.exp(noise * np.array(pace)))


def coverage(noise: float, lasting: float, n_done: int, n: int = 80) -> float:
    rng, held = np.random.default_rng([n_done, int(100 * noise), int(100 * lasting)]), 0
    for _ in range(n):
        study = simulate(rng, noise, lasting)
        predicted = predict_total(study[:n_done], study[n_done:])
        held += predicted.low <= study["seconds"][n_done:].sum() <= predicted.high
    return held / n


@pytest.mark.parametrize("n_done", [N_ARMS // 2, N_ARMS, 3 * N_ARMS])
@pytest.mark.parametrize("noise", [0.1, 0.3, 0.6])
def test_it_holds_what_happens_where_the_machine_is_as_busy_as_before(noise, n_done):
    assert coverage(noise, 0.0, n_done) >= 0.93


@pytest.mark.parametrize("n_done", [N_ARMS // 2, N_ARMS, 3 * N_ARMS])
def test_it_mostly_does_where_the_pace_comes_and_goes(n_done):
    assert coverage(0.3, 0.8, n_done) >= 0.9


def test_it_narrows_as_trials_come_in():
    study = simulate(np.random.default_rng(0), 0.3, 0.0)
    todo = study[-N_ARMS:]
    factors = [p.high / p.expected for p in (predict_total(study[:n], todo) for n in (2, N_ARMS, 4 * N_ARMS))]
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] < 1.6 < 2 < factors[0]


def test_a_known_arm_takes_as_long_as_its_own_trials_and_a_new_one_the_mean_rate():
    done = frame(["a", "a", "b"], [1.0, 1.0, 2.0], [2.0, 4.0, 2.0])  # rates 3 and 1
    todo = pd.DataFrame({"arm": ["a", "b", "new"], "work": [1.0, 2.0, 10.0]})
    assert predict_seconds(done, todo).tolist() == [3.0, 2.0, 20.0]
    assert predict_total(done, todo).expected == 25.0


def test_what_one_trial_says_is_as_wide_as_assumed():
    """By hand: of one trial there is only what is assumed, each variance at 4 degrees of freedom, twice: record and future."""
    found = predict_total(frame(["a"], [1.0], [8.0]), pd.DataFrame({"arm": ["a"], "work": [1.0]}))
    pace, noise, arm = (2 * sd**2 for sd in (ASSUMED_PACE_SD, ASSUMED_NOISE_SD, ASSUMED_ARM_SD))
    assert found.expected == 8.0
    degrees = 4 * (pace + noise) ** 2 / (pace**2 + noise**2)
    assert np.log(found.high / 8) == pytest.approx(stdtrit(degrees, 0.975) * np.sqrt(pace + noise))
    new = predict_total(frame(["a"], [1.0], [8.0]), pd.DataFrame({"arm": ["b"], "work": [1.0]}))
    degrees = 4 * (pace + noise + arm) ** 2 / (pace**2 + noise**2 + arm**2)
    assert np.log(new.high / 8) == pytest.approx(stdtrit(degrees, 0.975) * np.sqrt(pace + noise + arm))


def test_a_change_of_pace_inside_the_record_widens_it():
    study = simulate(np.random.default_rng(1), 0.1, 0.0)
    slower = study.assign(seconds=study["seconds"] * np.where(np.arange(len(study)) >= 20, 3.0, 1.0))
    todo = study[-N_ARMS:]
    assert predict_total(slower[:40], todo).high / predict_total(slower[:40], todo).expected > 1.3 * (
        predict_total(study[:40], todo).high / predict_total(study[:40], todo).expected
    )


def test_ranges_add_and_scale():
    assert around(6.0, 2.0) == Range(6.0, 3.0, 12.0)
    assert around(6.0, 2.0).plus(around(2.0, 2.0)) == Range(8.0, 4.0, 16.0)
    assert around(6.0, 2.0).times(0.5) == Range(3.0, 1.5, 6.0)
    assert predict_total(frame(["a"], [1.0], [1.0]), pd.DataFrame({"arm": [], "work": []})).expected == 0.0
