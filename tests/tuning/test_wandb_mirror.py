"""Finished trials in W&B: offline for real, and with a W&B that only takes notes, dies or refuses."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner
from wandb_file import OfflineRun, read_run

from foresight.runlog import RunLog
from foresight.storage.local import LocalFiles
from foresight.tuning import wandb_mirror
from foresight.tuning.wandb_mirror import WandbMirror, app, follow, send_all

EPOCHS = 5


def record(log: RunLog, key: str, status: str = "complete", attempt: int = 1, seed: int = 0) -> None:
    row = {
        "key": key,
        "sweep": "small",
        "arm": "fusion.layers=2",
        "seed": seed,
        "status": status,
        "attempt": attempt,
        "provenance": "trained",
        "error": "out of memory" if status == "failed" else None,
        "config/task": "reconstruction",
        "config/fusion.layers": 2,
        "cost/params_trained": 1000,
    }
    if status != "failed":
        row |= {"val/mask_iou": 0.5, "test/mask_iou": 0.123456}
    epochs = [{"epoch": e, "step": 4 * e, "train/loss": 1 / e} for e in range(1, EPOCHS + 1)]
    log.write_trial(row, epochs=epochs if status != "failed" else ())


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    log = RunLog(tmp_path / "runs" / "small")
    log.write_sweep({"study": "small"})
    return log


@pytest.fixture
def offline(monkeypatch, tmp_path) -> Path:
    """W&B without a network, in another working directory than the run log's."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


def offline_runs(log: RunLog) -> list[OfflineRun]:
    return [read_run(folder) for folder in sorted((log.root / "wandb").glob("offline-run-*"))]


# --- offline, for real ---------------------------------------------------------------------------------------------


def test_a_trial_is_a_run_with_its_names_its_config_and_its_epochs(log, offline):
    record(log, "concat-s3-0a1b2c3d", seed=3)
    assert send_all(WandbMirror(log), lambda line: None) is None
    (run,) = offline_runs(log)
    assert (run.id, run.project, run.group, run.job_type) == ("concat-s3-0a1b2c3d", "small", "small", "reconstruction")
    assert run.name == "fusion.layers=2/3"
    assert run.config["fusion.layers"] == 2
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4, 5]
    assert [row["_step"] for row in run.history] == [1, 2, 3, 4, 5]
    assert [row["train/loss"] for row in run.history] == [1 / e for e in range(1, 6)]
    assert run.step_metrics["*"] == "epoch"
    assert run.summary["val/mask_iou"] == 0.5
    assert run.summary["status"] == "complete"
    assert run.exit_code == 0
    assert list(offline.iterdir()) == []


def test_no_test_value_leaves_the_run_log(log, offline):
    record(log, "a-s0-00000000")
    send_all(WandbMirror(log), lambda line: None)
    written = b"".join(path.read_bytes() for path in (log.root / "wandb").rglob("*") if path.is_file())
    assert b"0.123456" not in written
    assert b"test/" not in written


def test_a_failed_trial_is_a_failed_run_and_its_retry_brings_the_epochs_once(log, offline):
    record(log, "a-s0-00000000", "failed")
    send_all(WandbMirror(log), lambda line: None)
    (failed,) = offline_runs(log)
    assert (failed.exit_code, failed.history, failed.summary["error"]) == (1, [], "out of memory")
    record(log, "a-s0-00000000", attempt=2)
    send_all(WandbMirror(log), lambda line: None)
    (again,) = offline_runs(log)
    assert [row["epoch"] for row in again.history] == [1, 2, 3, 4, 5]
    assert again.exit_code == 0


def test_what_died_half_way_is_written_anew_and_once(log, offline, monkeypatch):
    record(log, "a-s0-00000000")
    with monkeypatch.context() as dying:
        dying.setattr(LocalFiles, "write", lambda *given: 1 / 0)  # of the mark
        assert "ZeroDivisionError" in send_all(WandbMirror(log), lambda line: None)
    time.sleep(1.1)  # W&B names folders by the second
    assert send_all(WandbMirror(log), lambda line: None) is None
    (run,) = offline_runs(log)
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4, 5]


def test_the_command_sends_what_is_there_once_and_says_so(log, offline):
    record(log, "a-s0-00000000")
    runner = CliRunner()
    first, second = runner.invoke(app, [str(log.root)]), runner.invoke(app, [str(log.root)])
    assert first.exit_code == second.exit_code == 0
    assert f"all 1 finished trials of small are written to {log.root}/wandb, for wandb sync" in first.stdout
    assert "sent a-s0-00000000" in first.stdout
    assert "sent a-s0-00000000" not in second.stdout
    assert len(offline_runs(log)) == 1


@pytest.mark.timeout(300)
def test_it_follows_until_the_driver_is_gone(log, offline):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    following = subprocess.Popen(
        [sys.executable, "-m", "foresight.tuning.wandb_mirror", str(log.root), "--follow"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        assert following.stdin is not None and following.stdout is not None
        record(log, "a-s0-00000000")
        assert following.stdout.readline() == "sent a-s0-00000000\n"
        record(log, "b-s0-00000000")
        following.stdin.close()
        assert "all 2 finished trials" in following.stdout.read()
        assert following.wait(120) == 0
    finally:
        following.kill()
        following.wait()
    assert {run.id for run in offline_runs(log)} == {"a-s0-00000000", "b-s0-00000000"}


def test_a_folder_that_holds_no_study_is_refused(tmp_path):
    ended = CliRunner().invoke(app, [str(tmp_path / "nothing")])
    assert ended.exit_code == 2
    assert "holds no study" in ended.stderr
    assert not (tmp_path / "nothing").exists()


# --- with a W&B that takes notes -----------------------------------------------------------------------------------


class Server:
    """What W&B's server would hold of each run, by id. `dies_after` rows of history the connection is lost, once."""

    def __init__(self, dies_after: int | None = None, refusal: Exception | None = None):
        self.histories: dict[str, list[dict[str, Any]]] = {}
        self.dies_after, self.refusal, self.asked = dies_after, refusal, 0

    def init(self, **given: Any) -> Any:
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal
        assert given["resume"] == "allow"
        history = self.histories.setdefault(given["id"], [])

        def add(values: dict[str, Any], step: int) -> None:
            if self.dies_after is not None and len(history) >= self.dies_after:
                self.dies_after = None
                raise ConnectionError("lost")
            history.append({"_step": step, **values})

        return SimpleNamespace(
            starting_step=history[-1]["_step"] + 1 if history else 0,
            disabled=False,
            offline=False,
            define_metric=lambda *names, **options: None,
            log=add,
            summary={},
            finish=lambda exit_code: None,
        )

    Settings = SimpleNamespace


@pytest.fixture
def serve(monkeypatch):
    def put(server: Server) -> Server:
        monkeypatch.setitem(sys.modules, "wandb", server)
        return server

    return put


def test_a_run_that_was_cut_off_goes_on_where_the_server_stands(log, serve):
    server = serve(Server(dies_after=3))
    record(log, "a-s0-00000000")
    assert "ConnectionError: lost" in send_all(WandbMirror(log), lambda line: None)
    assert [row["epoch"] for row in server.histories["a-s0-00000000"]] == [1, 2, 3]
    assert send_all(WandbMirror(log), lambda line: None) is None
    assert [row["epoch"] for row in server.histories["a-s0-00000000"]] == [1, 2, 3, 4, 5]


def test_what_was_sent_is_not_sent_again(log, serve):
    server = serve(Server())
    record(log, "a-s0-00000000")
    mirror = WandbMirror(log)
    send_all(mirror, lambda line: None)
    record(log, "b-s0-00000000")
    send_all(mirror, lambda line: None)
    send_all(WandbMirror(log), lambda line: None)
    assert server.asked == 2
    assert {key: len(rows) for key, rows in server.histories.items()} == {"a-s0-00000000": 5, "b-s0-00000000": 5}


def test_imported_trials_are_not_sent(log, serve):
    server = serve(Server())
    row = {"key": "published", "sweep": "s", "arm": "a", "seed": 0, "status": "complete", "provenance": "imported"}
    log.write_trial(row)
    assert WandbMirror(log).unsent() == []
    assert server.asked == 0


def test_a_refusal_is_one_line_however_often_it_is_met_and_holds_no_key(log, serve, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "5ec4e7" * 7)
    server = serve(Server(refusal=PermissionError(f"the key {'5ec4e7' * 7} is\nnot known")))
    record(log, "a-s0-00000000")
    lines: list[str] = []
    turns = iter([False, False, False, True])
    refused = follow(WandbMirror(log), lines.append, lambda seconds: next(turns))
    assert server.asked == 4
    assert lines == [
        "W&B takes no trial (PermissionError: the key [WANDB_API_KEY] is not known); the sweep goes on, and it is tried "
        "again every few minutes"
    ]
    assert refused == "PermissionError: the key [WANDB_API_KEY] is not known"


def test_after_a_refusal_it_waits_longer(log, serve):
    serve(Server(refusal=PermissionError("no")))
    record(log, "a-s0-00000000")
    waited: list[float] = []

    def ended(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) == 3

    follow(WandbMirror(log), lambda line: None, ended)
    assert waited == [wandb_mirror.LOOK_EVERY_S, wandb_mirror.RETRY_EVERY_S, wandb_mirror.RETRY_EVERY_S]


def test_the_command_says_what_is_left_and_ends_with_1(log, serve):
    serve(Server(refusal=PermissionError("no")))
    record(log, "a-s0-00000000")
    ended = CliRunner().invoke(app, [str(log.root)])
    assert ended.exit_code == 1
    assert ended.stdout == (
        "W&B: 0 trials of small are sent and 1 are not (PermissionError: no); "
        f"python -m foresight.tuning.wandb_mirror {log.root} sends them\n"
    )
