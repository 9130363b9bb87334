"""One small search, for real: killed with kill -9 in the middle, run again, then the same again, and started warm elsewhere."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pytest
from driver import Ended, Study

from foresight.runlog import RunLog
from foresight.verify import find_faults

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3000)]


@dataclass(frozen=True)
class Story:
    study: Study
    before: dict[str, int]  # key to when its row was written, when the driver was killed
    planned_before: list[str]
    resumed: Ended
    rows: pd.DataFrame
    again: Ended
    written: list[dict[str, int]]  # after it was resumed, and after it was run again
    warm: Ended
    warm_log: RunLog


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, feature_cache: Path) -> Story:
    study = Study("small_search.py", tmp_path_factory.mktemp("search") / "here", feature_cache)
    running = study.start()
    running.wait_until(lambda: len(study.written()) >= 3, "the third trial's end", timeout_s=900)
    running.process.kill()
    running.process.wait()
    for process in study.left_behind():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    before, planned_before = study.written(), study.log.read_manifest()["key"].tolist()
    resumed = study.start().wait(timeout_s=900)
    rows, written = study.log.trials(), [study.written()]
    again = study.start().wait(timeout_s=900)
    written.append(study.written())
    elsewhere = study.folder / "elsewhere"
    flags = ("--runs", str(elsewhere), "--warm-start", "runs/small_search", "--trials", "3")
    warm = study.start(*flags).wait(timeout_s=900)
    return Story(study, before, planned_before, resumed, rows, again, written, warm, RunLog(elsewhere / "small_search"))


def test_what_had_ended_when_the_driver_was_killed_was_not_run_again(story):
    assert {key: story.written[0][key] for key in story.before} == story.before
    assert set(story.planned_before) <= set(story.rows["key"])
    assert (story.rows["attempt"] == 1).all()


def test_the_search_went_on_to_its_end(story):
    assert story.resumed.code == 0, story.resumed.out + story.resumed.err
    assert "8 of 8 proposals made" in story.resumed.out
    manifest = story.study.log.read_manifest()
    assert sorted(manifest["key"]) == sorted(story.rows["key"])
    numbers = {0 if arm == "baseline" else int(arm[1:]) for arm in manifest["arm"]}
    assert 0 in numbers and max(numbers) <= 7
    assert list(find_faults(story.study.log)) == []


def test_a_trial_that_was_stopped_says_how_far_it_came_and_its_other_seed_did_not_run(story):
    stopped = story.rows[story.rows["status"] == "stopped"]
    assert len(stopped), story.rows[["arm", "seed", "status", "val/loss"]]
    for row in stopped.to_dict("records"):
        curve = story.study.log.read_epochs(row["key"])
        assert row["train/epochs_run"] == len(curve) < 3
        assert curve["epoch"].tolist() == list(range(1, len(curve) + 1))
        assert curve["val/loss"].iloc[-1] == row["val/loss"]
        assert story.study.log.read_config(row["key"])["seed"] == 0
        assert row["env/host"] and row["env/device"] == "cpu"
        assert (story.rows["arm"] == row["arm"]).sum() == 1
    assert not [name for name in stopped if name.startswith("test/") and stopped[name].notna().any()]


def test_what_was_not_stopped_ran_at_every_seed(story):
    complete = story.rows[story.rows["status"] == "complete"]
    assert complete.groupby("arm")["seed"].apply(sorted).map(tuple).unique().tolist() == [(0, 1)]
    assert "baseline" in set(complete["arm"])


def test_the_same_command_again_runs_nothing(story):
    assert story.again.code == 0, story.again.err
    assert "at most 0 trials to run" in story.again.out
    assert story.written[0] == story.written[1]


def test_a_warm_start_tells_takes_over_and_says_where_from(story):
    assert story.warm.code == 0, story.warm.out + story.warm.err
    rows = story.warm_log.trials()
    taken = rows[rows["env/adopted_from"].notna()] if "env/adopted_from" in rows else rows.iloc[:0]
    assert set(taken["arm"]) >= {"baseline"}  # the same two trials, by their keys
    own = story.rows.set_index("key")
    for row in taken.to_dict("records"):
        assert row["val/loss"] == own.loc[row["key"], "val/loss"]
        assert row["test/mask_iou"] == own.loc[row["key"], "test/mask_iou"]
        assert len(story.warm_log.read_samples(row["key"])) == 8
    assert "the sampler was told of" in story.warm.out


def test_no_process_is_left(story):
    assert story.study.left_behind() == []
    shutil.rmtree(story.study.folder / "elsewhere")
