"""What an estimate rests on: the nearest record there is, or assumed speeds; and what it says of each."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import small_study

from foresight.price import Price
from foresight.runlog import RunLog
from foresight.space import Trial
from foresight.tuning.estimate import ASSUMED_FACTOR, ASSUMED_TRAINING_FLOPS, Estimate, estimate_cost
from foresight.tuning.past_trials import compute_work, measured_times, read_complete
from foresight.tuning.record import Planned
from foresight.tuning.sweep import Placement

TRIALS = small_study.SWEEP.space("tiny").trials(2)
SIZES = {trial.arm.name: {"flops": 1e6} for trial in TRIALS}
WORK = 3 * 1e6 * 2 * 16  # a forward and a backward pass, two epochs, sixteen images


def write(log: RunLog, trial: Trial, seconds: float, **columns: object) -> None:
    if not (log.root / "sweep.json").exists():
        log.write_sweep({"study": log.root.name, "scale": trial.config.scale})
    row = Planned(trial, log.root.name, attempt=1).identity() | {"status": "complete", "cost/flops": 1e6}
    log.write_trial(row | {"cost/trial_s": seconds, "cost/train_s": seconds / 2, "train/epochs_run": 2} | columns)


@pytest.fixture
def placement(tmp_path: Path) -> Placement:
    return Placement(runs=tmp_path / "runs", slots=2, cache=tmp_path / "cache")


@pytest.fixture
def log(placement: Placement) -> RunLog:
    return RunLog(placement.runs / "small_study")


def estimate(log: RunLog, placement: Placement, trials: list[Trial] = TRIALS) -> Estimate:
    return estimate_cost(trials, SIZES, log, placement)


def test_before_anything_has_run_speeds_are_assumed_and_said_to_be(log, placement):
    found = estimate(log, placement)
    seconds = 6 * WORK / ASSUMED_TRAINING_FLOPS["tiny"]
    assert found.trials_s.expected == pytest.approx(seconds)
    assert (found.trials_s.low, found.trials_s.high) == (
        pytest.approx(seconds / ASSUMED_FACTOR),
        pytest.approx(seconds * ASSUMED_FACTOR),
    )
    assert found.basis == "training at 10 GFLOP/s a slot assumed, known to a factor of 5"
    assert not found.is_measured
    assert not log.root.exists()


def test_finished_trials_of_the_study_come_first_and_each_arm_has_its_own(log, placement):
    write(log, TRIALS[0], 10.0)
    write(log, TRIALS[1], 40.0)
    write(RunLog(placement.runs / "other"), TRIALS[2], 1000.0)
    found = estimate(log, placement, TRIALS[2:])
    # 10 and 40 for the arms that are known, their mean for the one that is not, at both seeds
    assert found.trials_s.expected == pytest.approx(10 + 40 + 2 * 25)
    assert found.wall_s.expected == pytest.approx(100 / 2)
    assert found.is_measured
    assert "as in 2 finished trials of this run log; the 1 arms without one by their operations" in found.basis
    assert found.trials_s.low < 100 < found.trials_s.high


def test_other_studies_come_next_by_their_operations(log, placement):
    for name, seconds in (("one", 10.0), ("two", 30.0)):
        write(RunLog(placement.runs / name), TRIALS[0], seconds)
    found = estimate(log, placement)
    assert found.trials_s.expected == pytest.approx(6 * 20)
    assert found.basis == "as in 2 finished trials of one, two, by their operations"
    write(log, TRIALS[0], 10.0)
    write(log, TRIALS[3], 10.0)
    own = estimate(log, placement)
    assert found.trials_s.high / found.trials_s.expected > own.trials_s.high / own.trials_s.expected


def test_a_probe_is_nearer_than_other_studies_and_further_than_the_study_itself(log, placement):
    write(RunLog(placement.runs / "one"), TRIALS[0], 10.0)
    probed = pd.DataFrame({"arm": ["baseline"], "task": ["reconstruction"], "work": [WORK], "seconds": [5.0]})
    assert estimate_cost(TRIALS, SIZES, log, placement, probed).trials_s.expected == pytest.approx(30.0)
    write(log, TRIALS[0], 7.0)
    assert estimate_cost(TRIALS, SIZES, log, placement, probed).trials_s.expected == pytest.approx(42.0)


def test_trials_of_another_scale_imported_or_failed_ones_tell_nothing(log, placement):
    full = small_study.SWEEP.space("full").trials(1)[0]
    write(RunLog(placement.runs / "full"), full, 10.0)
    write(log, TRIALS[0], 10.0, provenance="imported")
    write(log, TRIALS[1], 10.0, status="failed")
    assert not estimate(log, placement).is_measured


def test_a_damaged_study_is_named_and_left_out(log, placement):
    write(RunLog(placement.runs / "one"), TRIALS[0], 10.0)
    damaged = RunLog(placement.runs / "damaged")
    write(damaged, TRIALS[0], 10.0)
    (damaged.trials_dir / TRIALS[0].key / "trial.parquet").write_bytes(b"torn")
    found = estimate(log, placement)
    assert found.basis == "as in 1 finished trials of one, by their operations; damaged cannot be read and is left out"


def test_what_ended_by_itself_is_held_against_the_epochs_that_were_planned(log, placement):
    plateau = {"train.schedule": "plateau", "train.patience": 1, "train.epochs": 8}
    trial = replace(TRIALS[0], config=TRIALS[0].config.with_fields(plateau))
    write(log, trial, 10.0, **{"train/epochs_run": 2})
    times = measured_times(read_complete(log, "tiny"))
    assert times["work"].tolist() == [compute_work(trial.config, 1e6)] == [3 * 1e6 * 8 * 16]


def test_the_end_waits_for_the_longest_and_slots_for_nobody(log, placement):
    write(log, TRIALS[0], 10.0)
    alone = estimate(log, placement, TRIALS[:1])
    assert alone.wall_s.expected == pytest.approx(10.0)
    many = estimate_cost(TRIALS[:3], SIZES, log, replace(placement, slots=64))
    assert many.wall_s.expected == pytest.approx(10.0)


def test_trials_that_shared_a_gpu_count_by_their_share_and_take_their_whole_time(log, placement):
    packed = replace(placement, slots=1, gpus=1.0, pack=8)
    for trial in TRIALS[:2]:
        write(log, trial, 100.0, **{"env/gpu_share": 0.25})
    found = estimate(log, packed, [trial for trial in TRIALS if trial.arm == TRIALS[0].arm][1:2])
    assert found.trials_s.expected == pytest.approx(25.0)
    assert found.gpu_hours.expected == pytest.approx(25 / 3600)
    assert found.wall_s.expected == pytest.approx(100.0)  # alone at the end it is no faster
    many = estimate(log, packed, TRIALS[2:])
    assert many.wall_s.expected == pytest.approx(max(100.0, many.trials_s.expected))


def test_workers_share_a_trial_s_time_and_each_holds_a_gpu(log, placement):
    alone = replace(placement, slots=2, gpus=1.0)
    shared = replace(alone, slots=1, workers=2)
    for of_one, of_two in zip(*(json_of(estimate(log, placed)) for placed in (alone, shared)), strict=True):
        assert of_two == pytest.approx(of_one)
    assert estimate(log, shared).trials_s.expected == pytest.approx(estimate(log, alone).trials_s.expected / 2)
    assert estimate(log, shared).basis.startswith("training at 10 GFLOP/s a worker assumed")
    for trial in TRIALS:
        write(log, trial, 10.0, **{"env/workers": 2})
    assert estimate(log, shared).trials_s.expected == pytest.approx(60.0)
    assert estimate(log, shared).gpu_hours.expected == pytest.approx(2 * 60.0 / 3600)
    assert estimate(log, alone).gpu_hours.expected == pytest.approx(2 * 60.0 / 3600)


def json_of(found: Estimate) -> list[float]:
    """Hours of GPUs and of the machine, and money."""
    tree = found.as_json(Price(2.0, "USD"))
    return [tree["gpu_hours"]["expected"], tree["money"]["expected"], tree["wall_s"]["expected"]]


def test_money_is_hours_of_gpus_at_the_price(log, placement):
    write(log, TRIALS[0], 3600.0)
    found = estimate_cost(TRIALS[3:], SIZES, log, replace(placement, gpus=2.0))
    assert found.gpu_hours.expected == pytest.approx(6.0)
    assert found.money(Price(2.0, "EUR")).expected == pytest.approx(12.0)
    on_cpus = estimate(log, placement, TRIALS[3:])
    assert on_cpus.gpus == 0
    assert on_cpus.money(Price(2.0, "EUR")).expected == pytest.approx(6.0)  # a slot is priced as a GPU
    assert "gpu_hours" not in on_cpus.as_json(None)
    assert "money" not in on_cpus.as_json(None)
    stated = json.loads(json.dumps(on_cpus.as_json(Price(2.0, "EUR")), allow_nan=False))["money"]
    assert (stated["currency"], stated["per_gpu_hour"], stated["is_assumed"]) == ("EUR", 2.0, False)
    assert found.as_json(None)["money"]["is_assumed"]


def test_nothing_to_run_takes_nothing(log, placement):
    found = estimate(log, placement, [])
    assert (found.n_trials, found.trials_s.high, found.wall_s.high) == (0, 0.0, 0.0)
