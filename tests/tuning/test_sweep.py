"""One small sweep, for real: its script in a process of its own, its trials through a local Ray."""

import re
import shutil
import signal
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import small_study
from driver import Ended, Study

from foresight.side_costs import read_side_costs

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3000)]

TRIALS = small_study.SWEEP.space("tiny").trials(2)
ONE = TRIALS[-1]

# Everything that a run says when nothing goes wrong; Ray says nothing.
EXPECTED_LINES = (
    r"small_study, tiny scale: 6 of 6 trials to run, \d+ at a time, into runs/small_study",
    r"checking that each of 2 arms changes the model's output \.\.\.",
    r"computed (images \(shapes\)|DINOv2 L features|VLM features, layers final)",
    r"\d/6 trials, \d running, 0 failed, elapsed \d+:\d\d, left \d+:\d\d, "
    r"best so far \S+ \(validation Mask IoU \d\.\d{3}, n=\d\)",
    r"measuring the latency of 3 arms, one at a time \.\.\.",
    r"6 of 6 trials complete, 0 failed",
    r"next: python -m analysis small_study --runs runs",
)
# What it may say besides where the machine is slow.
FEATURE_PROGRESS = r".+: [\d,]+ (of [\d,]+ images|images in one step), .*elapsed \d+:\d\d"


@dataclass(frozen=True)
class Story:
    """What happened, in this order: a SIGTERM before the first trial, the whole sweep, the same again, one trial alone, twice."""

    study: Study
    terminated: Ended
    left_by_terminated: list[psutil.Process]
    first: Ended
    rows: pd.DataFrame
    again: Ended
    written: list[dict[str, int]]  # by the sweep, and after it was run again
    by_ray: dict[str, Any]
    by_ray_samples: pd.DataFrame
    by_ray_epochs: pd.DataFrame
    alone: Ended  # with --one, its record removed before
    debugged: Ended  # with --one, its record there
    untouched: bool  # by the debugging


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    study = Study("small_study.py", tmp_path_factory.mktemp("sweep") / "here", tmp_path_factory.mktemp("own_cache"))
    running = study.start()
    running.wait_until(lambda: "checking that" in running.out.read_text(), "the sensitivity check")
    terminated = running.interrupt(signal.SIGTERM)
    left = study.left_behind()
    first = study.run()
    assert first.code == 0, first
    rows, written = study.log.trials(), [study.written()]
    again = study.run()
    written.append(study.written())
    by_ray = study.log.read_trial(ONE.key)
    samples, epochs = study.log.read_samples(ONE.key), study.log.read_epochs(ONE.key)
    shutil.rmtree(study.log.trials_dir / ONE.key)
    alone = study.run("--one", ONE.key, python=("-X", "importtime"))
    before = study.written()
    debugged = study.run("--one", ONE.key)
    untouched = study.written() == before
    return Story(
        study, terminated, left, first, rows, again, written, by_ray, samples, epochs, alone, debugged, untouched
    )


def test_one_on_a_complete_trial_runs_it_and_leaves_its_record_alone(story):
    assert story.debugged.code == 0, story.debugged
    assert "not recorded: the run log already holds this trial complete" in story.debugged.out
    assert f"test/mask_iou {story.by_ray['test/mask_iou']:.4g}" in story.debugged.out
    assert story.untouched


def test_sigterm_ends_it_as_ctrl_c_does(story):
    assert story.terminated.code == 130
    assert "interrupted; every finished trial is kept" in story.terminated.out
    assert story.terminated.err == ""
    assert story.terminated.wall_s < 15
    assert story.left_by_terminated == []


def test_a_run_says_what_it_does_and_ray_says_nothing(story):
    assert story.first.err == ""
    lines = [line for line in story.first.out.splitlines() if not re.fullmatch(FEATURE_PROGRESS, line)]
    assert [line for line in lines if not any(re.fullmatch(pattern, line) for pattern in EXPECTED_LINES)] == []
    assert [pattern for pattern in EXPECTED_LINES if not any(re.fullmatch(pattern, line) for line in lines)] == []


def test_every_planned_trial_is_complete_with_all_its_files(story):
    assert set(story.rows["key"]) == {trial.key for trial in TRIALS}
    assert set(story.rows["status"]) == {"complete"}
    assert set(story.rows["attempt"]) == {1}
    for trial in TRIALS:
        directory = story.study.log.trials_dir / trial.key
        for name in ("config.json", "epochs.parquet", "samples.parquet", "examples.png", "trial.parquet"):
            assert (directory / name).stat().st_size > 0
        assert story.study.log.read_epochs(trial.key)["epoch"].tolist() == [1, 2]
        assert len(story.study.log.read_samples(trial.key)) == 8


def test_rows_hold_what_analysis_asks_for(story):
    rows = story.rows
    for column in (
        "test/mask_iou",
        "val/mask_iou",
        "baseline/mean_image/mask_iou",
        "cost/params_trained",
        "cost/flops",
    ):
        assert rows[column].notna().all()
    assert rows["data/test_hash"].nunique() == 1
    assert (rows["env/threads"] == 1).all()
    assert rows.groupby("seed")["config/fusion.layers"].apply(sorted).tolist() == [[1, 1, 2], [1, 1, 2]]
    assert rows["test/mse"].nunique() == 6  # six trials, not one six times


def test_the_declaration_was_written_before_the_first_trial(story):
    sweep = story.study.log.read_sweep()
    assert sweep["claim_hash"] == small_study.CLAIM.hash
    assert (sweep["study"], sweep["scale"]) == ("small_study", "tiny")
    assert sweep["scale_note"]
    assert set(sweep["sensitivity"]) == {"fusion.layers=2", "fusion.queries=32"}
    assert all(change > 0 for change in sweep["sensitivity"].values())
    manifest = story.study.log.read_manifest()
    assert manifest["key"].tolist() == [trial.key for trial in TRIALS]


def test_what_it_took_besides_trials_is_on_its_account(story):
    spent = read_side_costs(story.study.log)
    assert set(spent) == {"features", "sensitivity", "latency"}
    assert all(held.gpu_s == 0 and held.cpu_s > 0 for held in spent.values())
    one_at_a_time_s = spent["sensitivity"].cpu_s + spent["latency"].cpu_s  # features: two processes beside each other
    assert one_at_a_time_s + spent["features"].cpu_s / 2 < story.terminated.wall_s + story.first.wall_s


def test_every_arm_has_its_latency(story):
    latency = story.study.log.read_latency()
    assert set(latency["arm_key"]) == {trial.config.arm_key for trial in TRIALS}
    assert (latency["latency_ms"] > latency["bridge_ms"]).all()
    assert (latency["bridge_ms"] > 0).all()
    assert latency[["measured", "host"]].drop_duplicates().shape == (1, 2)  # one occasion


def test_running_again_does_nothing_and_starts_no_ray(story):
    assert story.again.code == 0
    assert "0 of 6 trials to run" in story.again.out
    assert "6 of 6 trials complete" in story.again.out
    assert story.again.err == ""
    assert story.written[0] == story.written[1]
    traced = story.study.run(python=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip() for line in traced.err.splitlines()}
    assert "pandas" in imported  # so that the trace is one
    assert "ray" not in imported


def test_one_trial_alone_gives_the_same_bits_as_through_ray(story):
    assert story.alone.code == 0
    row = story.study.log.read_trial(ONE.key)
    numbers = [
        name for name in row if name.startswith(("test/", "val/", "baseline/", "data/", "cost/params", "cost/flops"))
    ]
    assert len(numbers) > 20
    assert {name: row[name] for name in numbers} == {name: story.by_ray[name] for name in numbers}
    pd.testing.assert_frame_equal(story.study.log.read_samples(ONE.key), story.by_ray_samples, check_exact=True)
    epochs = story.study.log.read_epochs(ONE.key).drop(columns="wall_s")
    assert np.array_equal(epochs, story.by_ray_epochs[list(epochs)])


def test_one_trial_alone_shows_its_epochs_and_needs_no_ray(story):
    assert [line.split("  ")[0] for line in story.alone.out.splitlines()[:2]] == ["epoch 1", "epoch 2"]
    imported = {
        line.rpartition("|")[2].strip() for line in story.alone.err.splitlines() if line.startswith("import time:")
    }
    assert "torch" in imported
    assert "ray" not in imported
    assert [line for line in story.alone.err.splitlines() if not line.startswith("import time:")] == []


def test_nothing_is_left_running(story):
    assert story.study.left_behind() == []
