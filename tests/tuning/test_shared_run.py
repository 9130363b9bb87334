"""What a trial on several workers makes of the end of Ray Train's run, without Ray."""

import errno
import re
from pathlib import Path

import pytest
import small_study
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError
from ray.train import ControllerError, WorkerGroupError
from ray.train.v2._internal.exceptions import UserExceptionWithTraceback
from ray.train.v2.api.exceptions import PreemptionError
from ray.train.v2.api.preemption import PreemptionInfo

from foresight.errors import RunEndedError, StorageError
from foresight.runlog import RunLog
from foresight.train.parallel import LostPeerError
from foresight.tuning.record import Planned, write_failure
from foresight.tuning.scratch import CHECKPOINT, FOLDER
from foresight.tuning.sweep import RETRIES, Placement
from foresight.tuning.worker_part import SharedJob
from foresight.tuning.workers import SharedRun


@pytest.fixture
def job(tmp_path: Path) -> SharedJob:
    planned = Planned(small_study.space("tiny").trials(1)[0], "small_study", attempt=1)
    placement = Placement(runs=tmp_path / "runs", cache=tmp_path / "cache", slots=1, gpus=0.0, workers=2)
    return SharedJob(planned, placement, RunLog(tmp_path / "runs" / "small_study"))


def play(monkeypatch: pytest.MonkeyPatch, job: SharedJob, error: BaseException, has_row: bool = False) -> SharedRun:
    """A run whose workers have left a checkpoint when Train ends with an error."""

    def fit_workers(job: SharedJob, start_timeout_s: float) -> None:
        job.log.files.write(f"{FOLDER}/{job.planned.key}/{CHECKPOINT}", b"half")
        if has_row:
            write_failure(job.log, job.planned, "ArithmeticError: the loss became nan")
        raise error

    monkeypatch.setattr("foresight.tuning.trainer.fit_workers", fit_workers)
    return SharedRun(job)


def has_checkpoint(job: SharedJob) -> bool:
    return job.log.files.shared.exists(f"{FOLDER}/{job.planned.key}/{CHECKPOINT}")


def test_a_lost_controller_is_raised_for_tune_to_try_again_from_the_checkpoint(monkeypatch, job):
    run = play(monkeypatch, job, ActorDiedError())
    with pytest.raises(RuntimeError, match="the run of Ray Train was lost: The actor died unexpectedly"):
        list(run.epochs())
    run.end()
    assert has_checkpoint(job)
    assert job.log.statuses() == {}


NO_PEER = RayTaskError(
    "join", "  File ...\nRuntimeError: connectFullMesh failed", RuntimeError("connectFullMesh failed")
).as_instanceof_cause()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OutOfMemoryError("Task was killed"), "Task was killed"),
        (ControllerError(ActorDiedError()), "The actor died unexpectedly before finishing this task."),
        (ControllerError(NO_PEER), "RuntimeError: connectFullMesh failed"),
        (PreemptionError(PreemptionInfo(deadline_ms=None, preempted_node_to_ranks={})), "node preemption"),
    ],
)
def test_what_another_machine_or_moment_may_help_against_is_no_failed_row(monkeypatch, job, error, said):
    """Where a worker is lost while they are started, or for want of memory, Train does not try again itself."""
    run = play(monkeypatch, job, error)
    with pytest.raises(RuntimeError, match=f"the run of Ray Train was lost: .*{re.escape(said)}"):
        list(run.epochs())
    run.end()
    assert has_checkpoint(job)
    assert job.log.statuses() == {}


@pytest.mark.parametrize("error", [ActorDiedError(), OSError(errno.ENOSPC, "No space left on device")], ids=repr)
def test_what_is_lost_after_the_row_changes_nothing(monkeypatch, job, error):
    run = play(monkeypatch, job, error, has_row=True)
    assert list(run.epochs()) == []
    run.end()
    assert not has_checkpoint(job)
    assert job.log.read_trial(job.planned.key)["error"] == "ArithmeticError: the loss became nan"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_ctrl_c_leaves_the_checkpoint_also_where_it_reaches_the_thread_of_train_first(monkeypatch, job):
    """Ray ends a process by SystemExit in whatever waits for it: the thread is then over without an error to tell of."""
    run = play(monkeypatch, job, SystemExit(1))
    with pytest.raises(RuntimeError, match="the run of Ray Train was lost: its process is ending"):
        list(run.epochs())
    run.end()
    assert has_checkpoint(job)
    assert job.log.statuses() == {}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_ctrl_c_leaves_the_checkpoint_where_the_trials_own_thread_hears_of_it_as_well(monkeypatch, job):
    run = play(monkeypatch, job, SystemExit(1))
    run.thread.join()
    run.end()
    assert has_checkpoint(job)


FULL = OSError(errno.ENOSPC, "No space left on device", "/local/features")
AWAY = StorageError("the object store fails")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (WorkerGroupError("they failed", {1: UserExceptionWithTraceback(FULL, "")}), "/local/features: No space left"),
        (ControllerError(AWAY), "the object store fails"),
        (AWAY, "the object store fails"),
    ],
)
def test_a_full_disk_of_any_worker_or_a_storage_that_is_away_ends_the_run(monkeypatch, job, error, said):
    run = play(monkeypatch, job, error)
    with pytest.raises(RunEndedError, match=said):
        list(run.epochs())
    run.end()
    assert has_checkpoint(job)
    assert job.log.statuses() == {}


def test_a_mistake_of_our_own_in_the_controller_is_not_tried_again(monkeypatch, job):
    mistake = RayTaskError("join", "  File ...\nLookupError: no interface", LookupError("no interface"))
    assert list(play(monkeypatch, job, ControllerError(mistake.as_instanceof_cause())).epochs()) == []
    said = "Ray Train could not run it: LookupError: no interface"
    assert job.log.read_trial(job.planned.key)["error"] == said


def test_what_train_itself_cannot_do_is_a_failed_row(monkeypatch, job):
    run = play(monkeypatch, job, ValueError("no such backend"))
    assert list(run.epochs()) == []
    run.end()
    assert not has_checkpoint(job)
    assert job.log.read_trial(job.planned.key)["error"] == "Ray Train could not run it: no such backend"


def test_of_workers_that_were_lost_too_often_the_one_that_was_lost_is_named_and_not_who_missed_it(monkeypatch, job):
    lost = LostPeerError("another worker of the training was lost: Connection reset by peer")
    error = WorkerGroupError("they failed", {0: UserExceptionWithTraceback(lost, ""), 1: ActorDiedError()})
    run = play(monkeypatch, job, error)
    assert list(run.epochs()) == []
    why = "The actor died unexpectedly before finishing this task."
    said = f"its workers were lost or failed {RETRIES + 1} times, the last time: {why}"
    assert job.log.read_trial(job.planned.key)["error"] == said
