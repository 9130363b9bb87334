"""What becomes of a trial's checkpoint when its process is told to exit (SystemExit), or it is stopped. Without Ray."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import small_study

from foresight.runlog import RunLog
from foresight.train.task import Context
from foresight.tuning import trainable
from foresight.tuning.record import Planned, write_stopped
from foresight.tuning.scratch import CHECKPOINT, FOLDER
from foresight.tuning.sweep import Placement
from foresight.tuning.ticket import Ticket
from foresight.tuning.trainable import TrialActor

SPLIT = SimpleNamespace(sample_hash=())
STAGED = SimpleNamespace(train=SPLIT, val=SPLIT, test=SPLIT, heldout={})
PLANNED = Planned(small_study.space("tiny").trials(1)[0], "small_study", attempt=2, raced="wall_s")
ROW = {"epoch": 1, "step": 2, "wall_s": 1.0}


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "runs" / "small_study")


@pytest.fixture
def actor(monkeypatch: pytest.MonkeyPatch, log: RunLog, tmp_path: Path) -> TrialActor:
    """A process of Tune's, without Tune, whose trial has an epoch behind it and a checkpoint."""

    def run_trial(config, data, context, saved, ranks) -> Iterator[dict]:
        saved.write(b"where it stands")
        yield ROW
        raise SystemExit

    monkeypatch.setattr("foresight.train.trial.run_trial", run_trial)
    monkeypatch.setattr(trainable, "worker_context", lambda placement: Context("cpu"))
    monkeypatch.setattr("foresight.tuning.record.write_split", lambda *a: None)
    monkeypatch.setattr(TrialActor, "_stage", lambda actor, config: STAGED)
    actor = object.__new__(TrialActor)
    placement = Placement(tmp_path / "runs", slots=1, gpus=0.0, cache=tmp_path / "cache")
    actor.setup({"planned": Ticket(PLANNED)}, placement, SimpleNamespace(primary="mask_iou"), log)
    assert actor.step()["epoch"] == 1
    return actor


def exit_in_the_epoch(actor: TrialActor) -> None:
    with pytest.raises(SystemExit):
        actor.step()


@pytest.mark.parametrize("end", [exit_in_the_epoch, TrialActor.cleanup])
def test_a_trial_whose_process_must_exit_keeps_its_checkpoint(actor, log, end: Callable[[TrialActor], None]):
    end(actor)
    assert log.statuses() == {}
    assert (log.root / FOLDER / PLANNED.key / CHECKPOINT).read_bytes() == b"where it stands"


def test_a_process_that_must_exit_asks_no_storage_first(actor, monkeypatch):
    """One that is away would have the last word, and the driver take it for the trial's."""
    monkeypatch.setattr(trainable, "has_its_row", lambda *a: pytest.fail("it was asked"))
    exit_in_the_epoch(actor)


def test_a_stopped_trial_leaves_none_as_the_driver_has_written_its_row(actor, log):
    write_stopped(log, PLANNED, [ROW], {}, gpus=0.0, trial_s=1.0)
    actor.cleanup()
    assert not (log.root / FOLDER / PLANNED.key).exists()


def test_the_row_of_an_earlier_attempt_ends_nothing(actor, log):
    earlier = Planned(PLANNED.trial, "small_study", attempt=1)
    write_stopped(log, earlier, [ROW], {}, gpus=0.0, trial_s=1.0)
    actor.cleanup()
    assert (log.root / FOLDER / PLANNED.key / CHECKPOINT).exists()
