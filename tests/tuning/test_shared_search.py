"""A search whose trials share two workers each, for real: killed with kill -9 in a training, and run again."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pytest
import shared_search
from driver import Ended, Study

from foresight.verify import find_faults

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3000)]

KILLED_AFTER = 5  # epochs, before the first rung


@dataclass(frozen=True)
class Story:
    study: Study
    key: str  # of the trial that ran when the driver was killed
    epochs_behind: int  # it had at least so many
    resumed: Ended
    rows: pd.DataFrame


def behind(study: Study) -> tuple[str, int]:
    """The running trial that has told of an epoch, and of how many; none: nothing, and 0."""
    for path in (study.log.root / ".running").glob("*/rows.json"):
        with contextlib.suppress(FileNotFoundError):
            return path.parent.name, int(json.loads(path.read_text())[-1]["epoch"])
    return "", 0


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, feature_cache: Path) -> Story:
    study = Study("shared_search.py", tmp_path_factory.mktemp("shared") / "here", feature_cache)
    running = study.start("--workers", "2")
    running.wait_until(lambda: behind(study)[1] >= KILLED_AFTER, "the first trial's epochs", timeout_s=900)
    running.process.kill()
    running.process.wait()
    key, epochs_behind = behind(study)
    for process in study.left_behind():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert not study.written()
    resumed = study.start("--workers", "2").wait(timeout_s=1800)
    return Story(study, key, epochs_behind, resumed, study.log.trials().set_index("key"))


def test_the_search_comes_to_its_end(story):
    assert story.resumed.code == 0, story.resumed.out + story.resumed.err
    assert "2 of 2 proposals made" in story.resumed.out
    assert set(story.rows["status"]) <= {"complete", "stopped"}
    assert (story.rows["env/workers"] == 2).all()


def test_the_trial_that_went_on_has_all_its_epochs(story):
    assert 0 < story.epochs_behind < shared_search.EPOCHS
    epochs = story.study.log.read_epochs(story.key)
    assert epochs["epoch"].tolist() == list(range(1, int(story.rows.loc[story.key, "train/epochs_run"]) + 1))
    assert epochs["wall_s"].is_monotonic_increasing


def test_the_run_log_is_whole_and_nothing_is_left_of_the_trials(story):
    assert list(find_faults(story.study.log)) == []
    assert [path for path in (story.study.log.root / ".running").rglob("*") if path.is_file()] == []
    assert story.study.left_behind() == []
