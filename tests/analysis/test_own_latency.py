"""A latency that each trial measured itself, as a search by time has it, beside one that was measured once per arm."""

import numpy as np
import pytest

from analysis import load
from analysis.objectives import LATENCY_QUARTILES


@pytest.fixture
def study(write_study):
    """The arm's own measurement says 10 ms or so (`StudyWriter`); its trials say 50 to 54."""
    return load(write_study(change_row=lambda trial, row: row | {"cost/latency_ms": 50.0 + trial.seed}))


def test_what_the_trials_measured_is_the_arms_latency_everywhere(study):
    table = study.table()
    rows = table[(table["kind"] == "arm") & (table["role"] == "primary")]
    assert np.allclose(rows["latency_ms"].dropna().astype(float), 52.0)
    assert np.allclose(study.pareto()["latency_ms"].astype(float), 52.0)


def test_and_quartiles_of_another_measurement_are_not_drawn_around_it(study):
    assert study.pareto()[list(LATENCY_QUARTILES)].isna().all(axis=None)


def test_quartiles_stand_where_the_arm_was_measured_once(complete_study):
    front = complete_study.pareto()
    low, high = (front[name].astype(float) for name in LATENCY_QUARTILES)
    assert ((low < front["latency_ms"]) & (front["latency_ms"] < high)).all()
