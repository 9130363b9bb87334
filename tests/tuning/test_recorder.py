"""What the driver makes of Tune's word on a trial: the row of a process that died, its next attempt, or the end of the run."""

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray import cloudpickle
from ray.exceptions import RayTaskError

from foresight.errors import RunEndedError, StorageError
from foresight.runlog import RunLog
from foresight.tuning.memory_kills import WANT_OF_MEMORY
from foresight.tuning.record import Planned, has_its_row, write_failure
from foresight.tuning.recorder import TrialRecorder
from foresight.tuning.ticket import tune_config


class FakeProgress:
    def __init__(self) -> None:
        self.finished: list[tuple] = []
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def finish(self, *arguments) -> None:
        self.finished.append(arguments)


@pytest.fixture
def recorder(log):
    return TrialRecorder(log, "mask_iou", FakeProgress(), 0.0)


def as_tune_writes(*errors: str) -> str:
    """Tune's file of a trial's errors, one for each attempt (`Trial.handle_error`)."""
    return "".join(f"Failure # {n} (occurred at 2026-01-01)\n{error}\n" for n, error in enumerate(errors, start=1))


@pytest.fixture
def dead_trial(planned: Planned, tmp_path: Path) -> SimpleNamespace:
    """What Tune hands over for a trial whose process died."""
    trace = "Traceback (most recent call last):\n  File ...\n\nActorDiedError: the actor died.\n  cause: killed\n"
    (tmp_path / "error.txt").write_text(as_tune_writes("of the attempt before", trace))
    path = str(tmp_path / "error.txt")
    return SimpleNamespace(config=tune_config(planned), error_file=path, pickled_error_file=None)


def raised(error: Exception, trial: SimpleNamespace) -> SimpleNamespace:
    """The trial of a process that raised, which Tune keeps in a file."""
    path = Path(trial.error_file).with_name("error.pkl")
    path.write_bytes(cloudpickle.dumps(RayTaskError("train", "a traceback", error).as_instanceof_cause()))
    trial.pickled_error_file = str(path)
    return trial


def write_complete(log: RunLog, planned: Planned) -> None:
    """What the trial's own process wrote before it died."""
    log.write_trial(planned.identity() | {"status": "complete", "val/mask_iou": 0.5})


def test_a_process_that_died_gets_its_row_from_the_driver(log, planned, recorder, dead_trial):
    recorder.on_trial_error(0, [], dead_trial)
    row = log.read_trial(planned.key)
    assert (row["status"], row["attempt"]) == ("failed", 2)
    assert row["error"] == "the trial's process died: File ... ActorDiedError: the actor died. cause: killed"
    assert recorder.progress.finished == [(planned.key, "fusion.queries=32", row["error"], None)]


def test_a_process_that_is_lost_makes_the_next_attempt_and_no_row(log, planned, recorder, dead_trial):
    recorder.on_trial_recover(0, [], dead_trial)
    recorder.on_trial_recover(0, [], dead_trial)
    assert dead_trial.config["planned"].planned.attempt == planned.attempt + 2
    assert planned.key not in log.statuses()
    assert recorder.progress.said == [f"{planned.key} lost its process and goes on as attempt {n}" for n in (3, 4)]


def test_a_process_that_was_ended_for_want_of_memory_is_said_to_be(recorder, dead_trial):
    key, file = dead_trial.config["key"], Path(dead_trial.error_file)
    for errors in ([WANT_OF_MEMORY], [WANT_OF_MEMORY, "the node died"], [WANT_OF_MEMORY] * 2):
        file.write_text(as_tune_writes(*errors))
        recorder.on_trial_recover(0, [], dead_trial)
    why = [said.removeprefix(f"{key} lost its process").partition(" and goes on")[0] for said in recorder.progress.said]
    assert why == [" for want of memory", "", " for want of memory"]
    recorder.on_trial_error(0, [], dead_trial)
    assert recorder.log.read_trial(key)["error"] == f"the trial's process died: {WANT_OF_MEMORY}"


def test_a_process_that_is_lost_after_its_row_was_written_makes_no_attempt(
    monkeypatch, log, planned, recorder, dead_trial
):
    write_complete(log, planned)
    recorder.on_trial_recover(0, [], dead_trial)
    assert dead_trial.config["planned"].planned == planned
    assert has_its_row(log, planned)


def test_a_trial_that_cannot_be_written_is_not_tried_again(recorder, dead_trial):
    with pytest.raises(RunEndedError, match="the disk is full"):
        recorder.on_trial_recover(0, [], raised(RunEndedError("the disk is full"), dead_trial))
    assert str(recorder.ended) == "the disk is full"


def test_epochs_that_a_second_process_repeats_are_known_once(log, planned, recorder, dead_trial):
    for epoch in (1, 2, 3, 2, 3, 4):
        result = {"row": {"epoch": epoch, "val/loss": 1.0 / epoch}}
        recorder.on_trial_result(0, [], dead_trial, result)
    assert [row["epoch"] for row in recorder.epochs[planned.key]] == [1, 2, 3, 4]


def test_a_process_that_died_after_its_row_was_written_keeps_it(monkeypatch, log, planned, recorder, dead_trial):
    write_complete(log, planned)
    recorder.on_trial_error(0, [], dead_trial)
    assert log.read_trial(planned.key)["status"] == "complete"
    assert recorder.progress.finished == [
        (planned.key, "fusion.queries=32", None, 0.5)
    ]  # what is watched is validation


def test_a_retry_that_died_replaces_the_failure_before(log, planned, recorder, dead_trial):
    write_failure(log, Planned(planned.trial, planned.sweep, attempt=1), "the first time")
    recorder.on_trial_error(0, [], dead_trial)
    row = log.read_trial(planned.key)
    assert row["attempt"] == 2
    assert "ActorDiedError" in row["error"]


def test_a_process_that_died_in_silence_is_a_row_all_the_same(log, planned, recorder, dead_trial):
    dead_trial.error_file = None
    recorder.on_trial_error(0, [], dead_trial)
    assert log.read_trial(planned.key)["error"] == "the trial's process died: no error was reported"


def test_tunes_snapshot_of_the_callback_is_small_and_can_be_pickled(recorder):
    import pickle

    assert len(pickle.dumps(recorder)) < 500


# --- what ends the run -----------------------------------------------------------------------------------------------


def test_what_ended_the_run_ends_it_though_tune_tries_the_trial_again(monkeypatch, recorder, dead_trial):
    """Tune takes an error of a callback for one of the trial, and asks for its next attempt without a cause."""
    away = RunEndedError("trials cannot be read: the storage is away")
    monkeypatch.setattr("foresight.tuning.recorder.has_its_row", raising(away))
    monkeypatch.setattr(RunLog, "read_trial", raising(away))
    dead_trial.last_result = None
    with pytest.raises(RunEndedError):
        recorder.on_trial_complete(0, [], dead_trial)
    monkeypatch.undo()
    with pytest.raises(RunEndedError, match="the storage is away"):
        recorder.on_trial_recover(0, [], dead_trial)
    with pytest.raises(RunEndedError, match="the storage is away"):
        recorder.on_trial_error(0, [], dead_trial)
    assert recorder.progress.said == []


def raising(error: Exception):
    def call(*arguments):
        raise error

    return call


def test_the_driver_takes_over_what_ended_a_trial_and_writes_no_row(log, recorder, dead_trial):
    with pytest.raises(RunEndedError, match="the disk is full"):
        recorder.on_trial_error(1, [], raised(RunEndedError("the disk is full"), dead_trial))
    assert str(recorder.ended) == "the disk is full"
    assert log.statuses() == {}


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full", "/local"), StorageError("the object store fails")])
def test_a_process_that_found_its_disk_full_or_its_storage_away_ends_the_run(log, recorder, dead_trial, error):
    """Wherever in the process: the trial that it was given last may not even have begun."""
    with pytest.raises(RunEndedError, match="cannot go on"):
        recorder.on_trial_error(1, [], raised(error, dead_trial))
    assert recorder.ended is not None
    assert log.statuses() == {}


def test_any_other_error_of_a_trial_is_its_row(log, planned, recorder, dead_trial):
    recorder.on_trial_error(1, [], raised(ZeroDivisionError("our own mistake"), dead_trial))
    assert recorder.ended is None
    assert log.statuses() == {planned.key: "failed"}
    assert len(recorder.progress.finished) == 1


def test_a_driver_that_cannot_write_the_row_of_a_dead_process_ends_the_run(log, planned, recorder, dead_trial):
    log.trials_dir.mkdir(parents=True)
    (log.trials_dir / planned.key).write_text("a file where the folder should be")
    with pytest.raises(RunEndedError, match="cannot be written"):
        recorder.on_trial_error(1, [], dead_trial)
    assert recorder.ended is not None
