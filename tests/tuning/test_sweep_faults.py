"""A sweep in which things go wrong, for real: a diverging arm, a killed process, a corrupt feature, Ctrl-C."""

import re
import signal
from dataclasses import dataclass
from pathlib import Path

import faulty_study
import pandas as pd
import psutil
import pytest
from driver import Ended, Study

from foresight.features.keys import dinov2_entry
from foresight.features.store import ArrayStore
from foresight.space import Trial

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3000)]

# Two blocks of four arms, in the order in which they are run.
TRIALS = faulty_study.SWEEP.space("tiny").trials(2)
BASE_0, LONG_0, DIVERGING_0, OTHER_0, BASE_1, LONG_1, DIVERGING_1, OTHER_1 = TRIALS
SHORT = {trial.key for trial in (BASE_0, DIVERGING_0, OTHER_0, BASE_1)}  # they are over while the long one still trains


@dataclass(frozen=True)
class Story:
    """What happened: two faults and a Ctrl-C; one row deleted; the same with --retry-failed, and a process killed in it."""

    study: Study
    faulty: Ended
    left_by_faulty: list[psutil.Process]
    after_faults: pd.DataFrame  # rows by key
    resumed: Ended
    after_resume: pd.DataFrame
    written: list[dict[str, int]]  # when each trial's row was written, before and after the last run


def corrupt(store: ArrayStore, key: str) -> None:
    """Changes the last byte of an entry's test features."""
    path = store.root / key / "test.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def pid_of(study: Study, trial: Trial, attempt: int) -> int:
    """The process that this attempt of a trial ended in; 0 while it has not, or its row is just being replaced."""
    try:
        row = study.log.read_trial(trial.key)
    except FileNotFoundError:
        return 0
    return int(row["env/pid"]) if row["attempt"] == attempt else 0


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, feature_cache: Path) -> Story:
    study = Study("faulty_study.py", tmp_path_factory.mktemp("faults") / "here", feature_cache)
    for arm in faulty_study.SWEEP.space("tiny").arms():  # test_sweep.py measures; here it would only take time
        study.log.write_latency(arm.config.arm_key, {"latency_ms": 1.0})
    store = ArrayStore(feature_cache)
    other_features = dinov2_entry(OTHER_0.config.data, OTHER_0.config.dinov2)[0]

    running = study.start()
    running.wait_until(lambda: store.has(other_features), "the features that one arm alone reads")
    corrupt(store, other_features)
    running.wait_until(lambda: set(study.written()) >= SHORT and bool(study.training()), "the long trial alone")
    assert LONG_0.key not in study.written()
    faulty = running.interrupt(signal.SIGINT)
    left = study.left_behind()
    after_faults = study.log.trials().set_index("key")

    (study.log.trials_dir / BASE_0.key / "trial.parquet").unlink()
    written = [study.written()]
    running = study.start("--retry-failed")
    # The third trial starts when the first has ended, beside the long one, which is therefore in the other process.
    beside: list[int] = []
    running.wait_until(
        lambda: bool(beside.append(pid_of(study, DIVERGING_0, 2)) or beside[-1]), "the third trial's end"
    )
    victims: set[int] = set()
    running.wait_until(lambda: bool(victims.update(study.training() - {beside[-1]}) or victims), "the long trial")
    assert LONG_0.key not in study.written()
    for pid in victims:
        psutil.Process(pid).kill()
    resumed = running.wait()
    written.append(study.written())
    after_resume = study.log.trials().set_index("key")
    return Story(study, faulty, left, after_faults, resumed, after_resume, written)


def test_faults_leave_the_other_trials_complete(story):
    complete = story.after_faults.index[story.after_faults["status"] == "complete"]
    assert {BASE_0.key, BASE_1.key} <= set(complete)


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        (DIVERGING_0, r"DivergedError: the loss became nan between steps 1 and 2 "),
        (OTHER_0, r"CorruptEntryError: .* does not have its checksum"),
    ],
    ids=["diverged", "corrupt"],
)
def test_each_fault_is_a_failed_row_and_a_line_with_its_message(story, trial, said):
    row = story.after_faults.loc[trial.key]
    assert (row["status"], row["attempt"], row["arm"]) == ("failed", 1, trial.arm.name)
    assert re.match(said, row["error"]), row["error"]
    assert len(row["error"]) < 1000
    assert row["config/train.epochs"] == trial.config.train.epochs
    assert (story.study.log.trials_dir / trial.key / "config.json").exists()
    assert f"failed {trial.key} ({trial.arm.name}): {row['error']}\n" in story.faulty.out


def test_a_trial_whose_process_was_killed_runs_again_by_itself_and_counts_it(story):
    assert (story.after_resume.loc[LONG_0.key, ["status", "attempt"]] == ["complete", 2]).all()
    assert f"{LONG_0.key} lost its process and goes on as attempt 2\n" in story.resumed.out
    assert story.study.log.read_epochs(LONG_0.key)["epoch"].tolist() == list(range(1, faulty_study.LONG + 1))


def test_a_diverging_arm_has_no_sensitivity_and_does_not_stop_the_check(story):
    sensitivity = story.study.log.read_sweep()["sensitivity"]
    assert sensitivity[DIVERGING_0.arm.name] is None
    assert sensitivity[OTHER_0.arm.name] > 0


def test_ctrl_c_ends_within_seconds_and_leaves_no_process(story):
    assert story.faulty.code == 130
    assert story.faulty.wall_s < 15
    assert "interrupted; every finished trial is kept" in story.faulty.out
    assert story.left_by_faulty == []


def test_neither_faults_nor_ctrl_c_show_a_traceback(story):
    assert story.faulty.err == ""
    assert "Traceback" not in story.faulty.out


def test_ray_has_no_word_about_the_killed_process(story):
    said = [line for line in story.resumed.out.splitlines() if LONG_0.key not in line]
    assert [line for line in said if "raylet" in line or "worker" in line] == []


def test_ctrl_c_keeps_finished_trials_and_makes_no_row_of_an_unfinished_one(story):
    assert set(story.after_faults.index) >= SHORT
    assert len(story.after_faults) < len(TRIALS)
    assert set(story.after_faults["status"]) == {"complete", "failed"}
    assert not story.after_faults["error"].str.startswith("the trial's process died").any()


def test_a_corrupt_feature_is_computed_again_by_the_next_run(story):
    assert "does not have its checksum" in story.resumed.err
    assert "computing it again" in story.resumed.err
    assert story.resumed.err.count("\n") == 1
    assert (story.after_resume.loc[OTHER_0.key, ["status", "attempt"]] == ["complete", 2]).all()


def test_the_same_command_finishes_what_was_interrupted(story):
    rows = story.after_resume
    assert set(rows.index) == {trial.key for trial in TRIALS}
    assert set(rows.index[rows["status"] == "failed"]) == {DIVERGING_0.key, DIVERGING_1.key}
    assert (rows.loc[LONG_0.key, ["status", "attempt"]] == ["complete", 2]).all()
    assert rows.loc[DIVERGING_0.key, "attempt"] == 2


def test_some_failed_trials_make_exit_code_1_and_are_named(story):
    assert story.resumed.code == 1
    assert "6 of 8 trials complete, 2 failed" in story.resumed.out
    assert f"failed: {DIVERGING_0.key}, {DIVERGING_1.key}; run them again with --retry-failed" in story.resumed.out


def test_retry_failed_runs_failed_and_missing_trials_only(story):
    before, after = story.written
    untouched = {key for key in before if after[key] == before[key]}
    complete = set(story.after_faults.index[story.after_faults["status"] == "complete"])
    assert untouched == complete - {BASE_0.key}
    assert BASE_1.key in untouched


def test_a_trial_whose_row_was_deleted_is_run_again_to_the_same_bits(story):
    assert BASE_0.key not in story.written[0]
    assert story.after_resume.loc[BASE_0.key, "attempt"] == 1
    numbers = [name for name in story.after_faults if name.startswith(("test/", "val/"))]
    assert len(numbers) > 5
    assert (story.after_resume.loc[BASE_0.key, numbers] == story.after_faults.loc[BASE_0.key, numbers]).all()


def test_nothing_is_left_running(story):
    assert story.study.left_behind() == []
