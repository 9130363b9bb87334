"""A run log that takes no more rows while trials run, for real: what Ray Tune makes of it is its own."""

from pathlib import Path

import pytest
import small_study
from driver import Study

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3000)]
_, _, BLOCKED, *_ = small_study.SWEEP.space("tiny").trials(2)


def test_a_trial_that_cannot_write_its_row_ends_the_run_in_one_sentence(tmp_path: Path, feature_cache: Path):
    study = Study("small_study.py", tmp_path / "here", feature_cache)
    study.log.trials_dir.mkdir(parents=True)
    (study.log.trials_dir / BLOCKED.key).write_text("a file where the trial's folder should be")
    ended = study.run()
    assert ended.code == 1
    assert ended.err.startswith(f"error: trial {BLOCKED.key} cannot be written to ")
    assert ended.err.count("\n") == 1
    assert "Traceback" not in ended.out
    statuses = study.log.statuses()
    assert BLOCKED.key not in statuses
    assert set(statuses.values()) == {"complete"}  # it began when one of the first two had ended
    assert study.left_behind() == []
