"""Trials that two workers of Ray Train share, for real: interrupted, robbed of a worker, and never given one."""

import json
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pytest
import shared_study
from driver import Ended, Study

from foresight.verify import find_faults

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1800)]

LONG, SHORT = shared_study.SWEEP.space("tiny").trials(1)
WORKERS = ("--limit", "2", "--workers", "2")
START_S = 600  # a shared trial starts six processes that import torch


# What `python starved.py SCRIPT ...` does: the script, with less patience, and somebody else has a core when trials begin.
STARVED = """
import runpy, sys
from dataclasses import replace
from foresight.tuning import begin, execute

place, tune = begin.place, execute.Runner._tune

class Other:
    def here(self):
        return True

def tune_beside_another(runner, *given, **named):
    from foresight.tuning import waiting
    waiting.PATIENCE_S = waiting.LOOK_S = 1.0
    other = runner.ray.remote(num_cpus=1)(Other).remote()
    assert runner.ray.get(other.here.remote())
    tune(runner, *given, **named)

begin.place = lambda *given: replace(place(*given), wait_s=5.0)
execute.Runner._tune = tune_beside_another
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass(frozen=True)
class Story:
    """An undisturbed run; then one that Ctrl-C ends in the long trial, and the same command again, robbed of a worker."""

    undisturbed: Ended
    expected: pd.DataFrame  # rows by key
    expected_epochs: pd.DataFrame
    listened: set[str]  # addresses, of everything that listened in the long trial
    interrupted: Ended
    left_by_interrupt: list[psutil.Process]
    rows_after_interrupt: int
    resumed: Ended
    robbed_after: int  # epochs of the long trial
    study: Study
    rows: pd.DataFrame
    epochs: pd.DataFrame
    left: list[psutil.Process]


def study_in(folder: Path, cache: Path) -> Study:
    study = Study("shared_study.py", folder, cache)
    for arm in shared_study.SWEEP.space("tiny").arms():  # test_sweep.py measures; here it would only take time
        study.log.write_latency(arm.config.arm_key, {"latency_ms": 1.0})
    return study


def epochs_behind(study: Study, key: str, since: float) -> int:
    """Epochs that a running trial has told of since a time, as seconds since 1970."""
    path = study.log.root / ".running" / key / "rows.json"
    try:
        return int(json.loads(path.read_text())[-1]["epoch"]) if path.stat().st_mtime >= since else 0
    except FileNotFoundError:
        return 0


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, feature_cache: Path) -> Story:
    quiet = study_in(tmp_path_factory.mktemp("undisturbed") / "here", feature_cache)
    undisturbed = quiet.start(*WORKERS).wait(START_S)

    study = study_in(tmp_path_factory.mktemp("disturbed") / "here", feature_cache)
    running = study.start(*WORKERS)
    running.wait_until(lambda: epochs_behind(study, LONG.key, 0) >= 3, "the long trial", START_S)
    listened = study.listens()
    interrupted = running.interrupt(signal.SIGINT)
    left, n_rows = study.left_behind(), len(study.written())

    began = time.time()
    running = study.start(*WORKERS)
    running.wait_until(lambda: epochs_behind(study, LONG.key, began) >= 6, "the long trial goes on", START_S)
    workers = [psutil.Process(pid) for pid in study.at_work("RayTrainWorker")]
    robbed_after = epochs_behind(study, LONG.key, began)
    workers[-1].kill()
    resumed = running.wait(START_S)
    return Story(
        undisturbed,
        quiet.log.trials().set_index("key"),
        quiet.log.read_epochs(LONG.key),
        listened,
        interrupted,
        left,
        n_rows,
        resumed,
        robbed_after,
        study,
        study.log.trials().set_index("key"),
        study.log.read_epochs(LONG.key),
        study.left_behind(),
    )


def test_shared_trials_end_complete_one_after_the_other(story):
    assert story.undisturbed.code == 0, story.undisturbed.err
    assert "2 of 2 trials to run, 1 at a time" in story.undisturbed.out
    assert (story.expected["status"] == "complete").all()
    assert set(story.expected["env/workers"]) == {2}
    assert set(story.expected["attempt"]) == {1}


def test_nothing_listens_beyond_the_loopback(story):
    assert story.listened == {"127.0.0.1"}


def test_ctrl_c_ends_a_shared_trial_within_seconds_without_a_word_or_a_process(story):
    assert story.interrupted.code == 130
    assert story.interrupted.wall_s < 30
    assert story.interrupted.err == ""
    assert "interrupted; every finished trial is kept" in story.interrupted.out
    assert (story.left_by_interrupt, story.rows_after_interrupt) == ([], 0)


def test_a_trial_that_loses_a_worker_goes_on_and_counts_its_attempts(story):
    assert story.robbed_after < shared_study.LONG
    assert story.resumed.code == 0, story.resumed.err
    assert list(story.rows.loc[[LONG.key, SHORT.key], "attempt"]) == [2, 1]
    assert (story.rows["status"] == "complete").all()


def test_its_numbers_are_those_of_a_trial_that_nobody_disturbed_bit_for_bit(story):
    numbers = [name for name in story.expected if name.startswith(("test/", "val/", "train/"))]
    assert len(numbers) > 10
    assert story.rows.loc[LONG.key, numbers].equals(story.expected.loc[LONG.key, numbers])
    curves = [frame.drop(columns="wall_s") for frame in (story.epochs, story.expected_epochs)]
    assert len(story.epochs) == shared_study.LONG
    assert curves[0].equals(curves[1])


def test_the_run_log_is_whole_and_nothing_is_left_of_the_trials(story):
    assert list(find_faults(story.study.log)) == []
    assert [path for path in (story.study.log.root / ".running").rglob("*") if path.is_file()] == []
    assert story.left == []


def test_a_trial_that_never_gets_its_workers_is_named_and_then_failed(tmp_path, feature_cache, monkeypatch):
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "5")
    study = study_in(tmp_path / "here", feature_cache)
    (tmp_path / "starved.py").write_text(STARVED)
    repository = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(repository), os.environ.get("PYTHONPATH", "")]))
    ended = study.start("--limit", "1", "--workers", "2", python=(str(tmp_path / "starved.py"),)).wait(START_S)
    assert ended.code == 1, ended.out + ended.err
    row = study.log.read_trial(LONG.key)
    assert (row["status"], row["error"]) == ("failed", "2 workers with 1 CPU each did not come within 0:05")
    assert re.search(rf"{LONG.key} has waited 0:\d\d for 2 workers with 1 CPU each; it fails after 0:05", ended.out)
    assert ended.code == 1
    assert study.left_behind() == []
