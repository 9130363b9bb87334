"""The benchmark of scale, without Ray: its study is planned and resumed, its asks are timed, its growth is worded."""

import pandas as pd
import pytest

from benchmarks import scale
from benchmarks.ask_time import measure_ask_times
from benchmarks.empty_study import open_empty_study
from foresight.tuning.record import Planned, end_columns, environment_columns, write_failure

N_TRIALS = 20


def finish(study):
    """Every planned trial is on record, as empty trials leave it."""
    for trial in study.trials:
        planned = Planned(trial, study.sweep.name, attempt=1, claim_hash=study.sweep.claim.hash)
        row = planned.identity() | {"status": "complete", **environment_columns(), **end_columns()}
        study.log.write_trial(row, config=trial.config.model_dump(mode="json"), samples=pd.DataFrame())


def test_the_study_is_planned_and_what_is_finished_is_found_by_the_same_command(tmp_path):
    assert scale.run_job("plan", N_TRIALS, tmp_path)["wall_s"] > 0
    study = open_empty_study(N_TRIALS, tmp_path, slots=2)
    assert len({trial.key for trial in study.trials}) == N_TRIALS
    finish(study)
    assert scale.run_job("again", N_TRIALS, tmp_path)["peak_mb"] > 0
    assert len(study.log.read_manifest()) == N_TRIALS


def test_a_trial_that_failed_is_told(tmp_path):
    study = open_empty_study(N_TRIALS, tmp_path, slots=2)
    finish(study)
    write_failure(study.log, Planned(study.trials[3], "empty", attempt=2), "it broke")
    with pytest.raises(RuntimeError, match="it broke"):
        scale.run_job("again", N_TRIALS, tmp_path)


@pytest.mark.parametrize("job", ["optuna", "tpe"])
def test_optuna_is_run_by_both_samplers(job, tmp_path):
    assert scale.run_job(job, N_TRIALS, tmp_path)["driver_s"] > 0


def test_asks_are_timed_beside_optuna_alone(tmp_path):
    few, more = measure_ask_times(tmp_path, (12, 16))
    assert (few["n"], more["n"]) == (12, 16)
    assert all(row[name] > 0 for row in (few, more) for name in ("ours_ms", "optuna_ms", "resume_s"))
    assert scale.show_asks([few, more]).row_count == 2


def test_growth_is_what_a_trial_costs_at_the_largest_size_by_what_it_costs_at_the_smallest():
    def row(n_trials, wall_s):
        return {"title": "a", "n_trials": n_trials, "wall_s": wall_s, "driver_s": 1.0, "command_s": 1.0, "peak_mb": 1.0}

    assert scale.describe_growth([row(100, 10.0)]) == []
    (line,) = scale.describe_growth([row(100, 10.0), row(1000, 300.0)])
    assert line == "a, from 100 to 1000 trials: a trial takes 3.00 x the slot-seconds, 0.10 x the work"
    assert scale.show_rows([row(100, 10.0)]).row_count == 1
