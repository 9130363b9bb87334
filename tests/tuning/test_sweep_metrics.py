"""What a sweep shows of itself while it runs, with a clock and an endpoint that only take notes."""

from types import SimpleNamespace
from typing import Any

import pytest

from foresight.runlog import RunLog
from foresight.tuning import sweep_metrics
from foresight.tuning.so_far import SoFar
from foresight.tuning.sweep_metrics import STATES, SweepMetrics


class Noted:
    """Stands in for ray.util.metrics: the last value of every series, by name and tags."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], float] = {}

    def Gauge(self, name: str, says: str, keys: tuple[str, ...]) -> Any:  # noqa: N802
        return self._metric(name, keys)

    Counter = Gauge

    def _metric(self, name: str, keys: tuple[str, ...]) -> Any:
        fixed: dict[str, str] = {}

        def put(value: float, tags: dict[str, str] | None = None) -> None:
            given = fixed | (tags or {})
            assert set(given) == set(keys)
            self.values[name, *(given[key] for key in keys)] = value

        metric = SimpleNamespace(
            set=put,
            inc=lambda: put(self.values.get((name, *fixed.values()), 0) + 1),
            set_default_tags=lambda tags: fixed.update(tags) or metric,
        )
        return metric


def record(log: RunLog, key: str, status: str, value: float | None = None) -> None:
    row = {"key": key, "sweep": "small", "arm": "a", "seed": 0, "status": status, "provenance": "trained"}
    log.write_trial(row | {"val/mask_iou": value, "test/mask_iou": 0.99})


def trial(key: str) -> Any:
    planned = SimpleNamespace(planned=SimpleNamespace(share=None))
    return SimpleNamespace(config={"key": key, "planned": planned}, last_result={"done": True})


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(now=100.0)


@pytest.fixture
def shown(monkeypatch) -> Noted:
    noted = Noted()
    monkeypatch.setattr(sweep_metrics, "metrics", noted)
    return noted


@pytest.fixture
def log(tmp_path) -> RunLog:
    return RunLog(tmp_path / "small")


def states(shown: Noted) -> dict[str, float]:
    return {state: shown.values["foresight_trials", "small", state] for state in STATES}


def watch(
    log: RunLog, clock: SimpleNamespace, gpus: float = 0.0, n_pending: int = 0, so_far: SoFar | None = None
) -> SweepMetrics:
    return SweepMetrics(log, lambda: n_pending, "mask_iou", gpus, so_far or SoFar(), now=lambda: clock.now)


def test_trials_move_from_state_to_state(log, shown, clock):
    record(log, "done before", "complete", 0.3)
    record(log, "failed before", "failed")
    watched = watch(log, clock, n_pending=3)
    watched.on_step_end(0, [])
    assert states(shown) == {"pending": 3, "running": 0, "complete": 1, "failed": 1, "stopped": 0}
    for key in ("failed before", "b", "c"):
        watched.on_trial_start(0, [], trial(key))
    watched.on_step_end(0, [])  # too soon after the first
    assert states(shown)["running"] == 0
    clock.now += 1
    watched.on_step_end(0, [])
    assert states(shown) == {"pending": 3, "running": 3, "complete": 1, "failed": 0, "stopped": 0}
    for key, status in (("failed before", "complete"), ("b", "stopped")):
        record(log, key, status, 0.1)
        watched.on_trial_complete(0, [], trial(key))
    record(log, "c", "failed")
    watched.on_trial_error(0, [], trial("c"))
    watched.on_experiment_end([])
    assert states(shown) == {"pending": 3, "running": 0, "complete": 2, "failed": 1, "stopped": 1}


def test_the_best_objective_is_the_best_validation_value_of_complete_trials(log, shown, clock):
    record(log, "before", "complete", 0.3)
    watched = watch(log, clock)
    for key, status, value in (("a", "complete", 0.5), ("b", "complete", 0.4), ("c", "stopped", 0.9)):
        record(log, key, status, value)
        watched.on_trial_complete(0, [], trial(key))
    record(log, "d", "complete", float("nan"))
    watched.on_trial_complete(0, [], trial("d"))
    watched.on_experiment_end([])
    assert shown.values["foresight_best_objective", "small", "mask_iou"] == 0.5


def test_before_the_first_complete_trial_there_is_no_best_objective(log, shown, clock):
    watch(log, clock).on_experiment_end([])
    assert not [name for name, *_ in shown.values if name == "foresight_best_objective"]


def test_epochs_are_counted_and_their_rate_is_of_the_last_minute(log, shown, clock):
    watched = watch(log, clock)
    for _ in range(30):
        watched.on_trial_result(0, [], trial("a"), {"epoch": 1})
    watched.on_trial_result(0, [], trial("a"), {"done": True})
    watched.on_step_end(0, [])
    assert shown.values["foresight_epochs", "small"] == 30
    assert shown.values["foresight_epochs_per_second", "small"] == pytest.approx(30 / 60)
    clock.now += 61
    watched.on_step_end(0, [])
    assert shown.values["foresight_epochs_per_second", "small"] == 0
    assert shown.values["foresight_epochs", "small"] == 30


def test_gpu_seconds_are_those_that_trials_held(log, shown, clock):
    watched = watch(log, clock, gpus=2.0)
    clock.now += 10  # nothing runs yet
    watched.on_trial_start(0, [], trial("a"))
    clock.now += 3
    watched.on_trial_start(0, [], trial("b"))
    clock.now += 4
    record(log, "a", "complete", 0.1)
    watched.on_trial_complete(0, [], trial("a"))
    clock.now += 5
    watched.on_experiment_end([])
    assert shown.values["foresight_gpu_seconds", "small"] == 2 * (3 + 4 + 4 + 5)


def test_the_blocks_of_a_command_are_one_sweep(log, shown, clock):
    so_far = SoFar(n_later=6)
    for block, n_later in (("a", 6), ("b", 3)):
        so_far.n_later = n_later
        watched = watch(log, clock, gpus=2.0, n_pending=1, so_far=so_far)
        watched.on_trial_start(0, [], trial(block))
        clock.now += 5
        watched.on_step_end(0, [])
        assert states(shown)["pending"] == 1 + n_later
        record(log, block, "complete", 0.1)
        watched.on_trial_complete(0, [], trial(block))
        watched.on_experiment_end([])
    assert shown.values["foresight_gpu_seconds", "small"] == 2 * (5 + 5)
