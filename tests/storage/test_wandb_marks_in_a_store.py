"""Of a study in an object store every machine knows what was sent to W&B."""

import shutil
from pathlib import Path

import pytest

from foresight.runlog import RunLog
from foresight.tuning import wandb_mirror
from foresight.tuning.wandb_mirror import WandbMirror, send_all


def test_what_one_machine_has_sent_no_other_sends_again(tmp_path: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch):
    sent = []
    monkeypatch.setattr(wandb_mirror, "write_run", lambda row, epochs, folder: bool(sent.append(row["key"])))
    here, there = (RunLog(tmp_path / name, s3_url) for name in ("here", "there"))
    here.write_trial(
        {"key": "k", "sweep": "small", "arm": "a", "seed": 0, "status": "complete", "provenance": "trained"}
    )
    assert send_all(WandbMirror(here), lambda line: None) is None
    there.refresh()
    assert not (there.root / "wandb").exists()  # marks are read in the store itself
    assert send_all(WandbMirror(there), lambda line: None) is None
    shutil.rmtree(here.root)
    again = RunLog(here.root, s3_url)
    again.refresh()
    assert send_all(WandbMirror(again), lambda line: None) is None
    assert sent == ["k"]
