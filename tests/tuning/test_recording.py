"""From a planned trial to its row: complete, failed, interrupted, or on a disk that takes no more."""

import bdb
import errno
import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pandas as pd
import pytest

from foresight.errors import RunEndedError, StorageError
from foresight.runlog import RunLog
from foresight.set_hash import compute_set_hash
from foresight.split_log import names_a_split, read_split
from foresight.train.parallel import LostPeerError
from foresight.train.task import Context
from foresight.tuning.adopt import adopt
from foresight.tuning.record import ERROR_LENGTH, Planned, record_trial, write_failure

EPOCHS = [{"epoch": 1, "train/loss": 0.5}, {"epoch": 2, "train/loss": 0.25}]


def run_with(
    monkeypatch: pytest.MonkeyPatch, log: RunLog, planned: Planned, error: BaseException | None, data=None, **columns
) -> list[dict]:
    """Records a trial whose training is replaced by two epochs and, after the first, an error."""

    def run_trial(*arguments) -> Iterator[dict]:
        yield EPOCHS[0]
        if error is not None:
            raise error
        yield EPOCHS[1]
        return SimpleNamespace(
            columns={"test/mask_iou": 0.75, "val/mask_iou": 0.5} | columns,
            epochs=EPOCHS,
            samples=pd.DataFrame({"sample_hash": ["a"], "mask_iou": [0.75]}),
            pictures={"examples": b"png"},
            weights={},
        )

    monkeypatch.setattr("foresight.train.trial.run_trial", run_trial)
    return list(record_trial(log, planned, data=data, context=Context("cpu")))


def test_a_trial_that_has_lost_a_worker_has_no_row_and_is_tried_again(monkeypatch, log, planned):
    with pytest.raises(LostPeerError):
        run_with(monkeypatch, log, planned, LostPeerError("another worker of the training was lost: Connection reset"))
    assert log.statuses() == {}


def test_a_trial_that_ends_is_written_whole(monkeypatch, log, planned):
    assert run_with(monkeypatch, log, planned, None) == EPOCHS
    row = log.read_trial(planned.key)
    assert (row["status"], row["error"], row["attempt"], row["provenance"]) == ("complete", None, 2, "trained")
    assert (row["arm"], row["factor"], row["level"], row["seed"]) == ("fusion.queries=32", "queries", "32", 1)
    assert row["config/fusion.queries"] == 32
    assert row["test/mask_iou"] == 0.75
    assert {"env/host", "env/torch", "env/git_commit", "env/threads", "env/pid", "env/device"} <= set(row)
    assert log.read_epochs(planned.key).to_dict("records") == EPOCHS
    assert len(log.read_samples(planned.key)) == 1


def test_what_every_set_of_a_trial_held_is_kept_and_taken_along_when_it_is_adopted(monkeypatch, log, planned, tmp_path):
    images = {"train": ["t1", "t2"], "val": ["v"], "test": ["x", "y"], "clips": ["c1", "c2"]}
    train, val, test, clips = (SimpleNamespace(sample_hash=hashes) for hashes in images.values())
    staged = SimpleNamespace(train=train, val=val, test=test, heldout={"clips": clips})
    named = {f"data/{name}_hash": compute_set_hash(images[name]) for name in ("train", "val", "test")}
    named |= {"heldout/clips/hash": compute_set_hash(images["clips"]), "heldout/clips/n": 2}
    assert run_with(monkeypatch, log, planned, None, staged, **named) == EPOCHS
    other = RunLog(tmp_path / "runs" / "other_study")
    row = adopt(other, log, planned)
    for root in (log.root, other.root):
        kept = [read_split(root, row[name]) for name in filter(names_a_split, row)]
        assert sorted(kept) == sorted(images.values())


def test_a_trial_that_raises_is_a_failed_row_and_raises_no_further(monkeypatch, log, planned):
    assert run_with(monkeypatch, log, planned, ArithmeticError("the loss became nan")) == EPOCHS[:1]
    row = log.read_trial(planned.key)
    assert (row["status"], row["attempt"]) == ("failed", 2)
    assert row["error"].startswith("ArithmeticError: the loss became nan (test_recording.py:")
    assert row["config/fusion.queries"] == 32
    assert log.read_epochs(planned.key).empty


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, bdb.BdbQuit])
def test_an_interrupted_trial_leaves_no_row(monkeypatch, log, planned, interrupt):
    with pytest.raises(interrupt):
        run_with(monkeypatch, log, planned, interrupt())
    assert log.statuses() == {}


def test_a_long_message_is_cut(log, planned):
    write_failure(log, planned, "x" * 10 * ERROR_LENGTH)
    assert len(log.read_trial(planned.key)["error"]) == ERROR_LENGTH


@pytest.mark.parametrize("error", [None, ValueError("a bad arm")])
def test_a_row_that_cannot_be_written_ends_the_run(monkeypatch, log, planned, error):
    log.trials_dir.mkdir(parents=True)
    (log.trials_dir / planned.key).write_text("a file where the folder should be")
    with pytest.raises(RunEndedError, match=f"trial {planned.key} cannot be written to {log.root}") as caught:
        run_with(monkeypatch, log, planned, error)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/cache/a"), "/cache/a: No space left on device"),
        (StorageError("the object store fails: no answer"), "the object store fails: no answer"),
    ],
)
def test_a_checkpoint_that_finds_no_room_is_no_failure_of_the_trial(monkeypatch, log, planned, error, reason):
    """Else every trial of the sweep would fail in its turn, at its first checkpoint."""
    with pytest.raises(RunEndedError) as caught:
        run_with(monkeypatch, log, planned, error)
    where = f"trial {planned.key} cannot go on at {socket.gethostname()} ({reason})"
    assert str(caught.value) == f"{where}; every finished trial is kept, and the same command goes on here"
    assert log.statuses() == {}
