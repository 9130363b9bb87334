"""A study written for TensorBoard: what its event files hold, and when they are written."""

import struct
from pathlib import Path

import pandas as pd
import pytest
import small_study
from filelock import FileLock
from tensorboardX.proto.event_pb2 import Event
from typer.testing import CliRunner, Result

from foresight.runlog import RunLog
from foresight.tuning.export_tensorboard import app
from foresight.tuning.record import Planned

TRIALS = small_study.SWEEP.space("tiny").trials(1)
EPOCHS = [
    {"epoch": 1, "step": 4, "wall_s": 2.0, "train/loss": 0.5, "val/mask_iou": 0.25},
    {"epoch": 2, "step": 8, "wall_s": 5.0, "train/loss": 0.25, "val/mask_iou": float("nan")},
]
ENDED = "2026-01-01T00:00:10+00:00"


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    log = RunLog(tmp_path / "runs" / "small_study")
    log.write_sweep({"study": "small_study"})
    for trial in TRIALS[:2]:
        write(log, trial)
    return log


def write(log: RunLog, trial, attempt: int = 1, **columns) -> None:
    row = Planned(trial, "small_study", attempt).identity() | {"val/mask_iou": 0.25, "test/mask_iou": 0.2}
    row |= {"status": "complete", "env/ended": ENDED, "config/train.lr": 0.001, **columns}
    log.write_trial(row, epochs=EPOCHS)


@pytest.fixture
def export(log, tmp_path):
    def run(folder: str = "") -> Result:
        return CliRunner().invoke(app, [folder or str(log.root), "--logdir", str(tmp_path / "shown")])

    return run


def events(folder: Path) -> list[Event]:
    """What the one event file of a folder holds: records of a length, its checksum, the event, its checksum."""
    (path,) = folder.iterdir()
    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        found.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return found


def place(tmp_path: Path, trial, attempt: int = 1) -> Path:
    return tmp_path / "shown" / "small_study" / trial.arm.name / "seed-0" / f"{trial.key}.{attempt}"


def test_curves_are_by_epoch_at_the_time_that_they_were_measured(export, tmp_path):
    told = export()
    assert told.exit_code == 0, told.output
    assert "2 finished trials, 2 of them new; next: uvx tensorboard --logdir" in told.stdout
    scalars = [
        (value.tag, event.step, event.wall_time - pd.Timestamp(ENDED).timestamp(), value.simple_value)
        for event in events(place(tmp_path, TRIALS[0]))
        for value in event.summary.value
        if not value.tag.startswith("_hparams_")
    ]
    assert scalars == [("train/loss", 1, -3.0, 0.5), ("val/mask_iou", 1, -3.0, 0.25), ("train/loss", 2, 0.0, 0.25)]


def test_hyperparameters_are_shown_with_validation_metrics_and_no_test_value(export, tmp_path):
    export()
    for trial in TRIALS[:2]:
        written = b"".join(event.SerializeToString() for event in events(place(tmp_path, trial)))
        assert b"train.lr" in written
        assert b"val/mask_iou" in written
        assert trial.arm.name.encode() in written
        assert b"test/" not in written


def test_a_trial_is_written_once_and_a_new_attempt_takes_its_place(export, log, tmp_path):
    export()
    (before,) = place(tmp_path, TRIALS[0]).iterdir()
    written = before.stat().st_mtime_ns
    write(log, TRIALS[1], attempt=2)
    write(log, TRIALS[2])
    left = place(tmp_path, TRIALS[2]).with_name(f".{TRIALS[2].key}.1")
    left.mkdir(parents=True)
    (left / "half of an event file").touch()
    assert "3 finished trials, 2 of them new" in export().stdout
    assert before.stat().st_mtime_ns == written
    assert not place(tmp_path, TRIALS[1]).exists()
    assert len(events(place(tmp_path, TRIALS[1], attempt=2))) > 3
    assert [path.name for path in left.parent.iterdir()] == [f"{TRIALS[2].key}.1"]
    assert len(events(place(tmp_path, TRIALS[2]))) > 3


def test_a_failed_trial_without_epochs_is_shown_with_its_config(export, log, tmp_path):
    log.write_trial(Planned(TRIALS[2], "small_study", 1).identity() | {"status": "failed", "error": "it diverged"})
    assert "3 finished trials" in export().stdout
    assert b"failed" in b"".join(event.SerializeToString() for event in events(place(tmp_path, TRIALS[2])))


def test_what_others_have_written_is_shown_below_the_folder_and_nowhere_else(export, log, tmp_path):
    odd = {"sweep": "small_study", "seed": 0, "status": "complete", "attempt": 1, "provenance": "imported"}
    for number, arm in enumerate((str(tmp_path / "elsewhere"), "../../up", "10M / 100", "..")):
        times = {"env/ended": "yesterday"} if number else {}
        log.write_trial({"key": f"k{number}", "arm": arm, **odd, **times}, epochs=[{"epoch": 1, "val/loss": 1.0}])
    before = {path for path in tmp_path.rglob("*") if tmp_path / "shown" not in path.parents}
    assert "6 finished trials, 6 of them new" in export().stdout
    after = {path for path in tmp_path.rglob("*") if tmp_path / "shown" not in path.parents} - {tmp_path / "shown"}
    assert {path for path in after - before if not path.name.startswith("consolidated")} == set()
    shown = {path.parent.parent.name for path in (tmp_path / "shown" / "small_study").glob("*/seed-0/k*")}
    assert len(shown) == 4
    assert {"up", "10M-100", "arm"} < shown


def test_two_do_not_write_at_once(export, tmp_path):
    (tmp_path / "shown" / "small_study").mkdir(parents=True)
    with FileLock(tmp_path / "shown" / "small_study" / ".lock"):
        refused = export()
    assert refused.exit_code == 2
    assert "another process writes to" in refused.stderr
    assert export().exit_code == 0


def test_a_folder_that_is_no_study_and_one_that_cannot_be_written_are_refused(export, tmp_path):
    refused = export(str(tmp_path))
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "holds no study" in refused.stderr
    (tmp_path / "shown").touch()
    refused = export()
    assert refused.exit_code == 2
    assert "cannot be written (Not a directory); name another --logdir" in refused.stderr
