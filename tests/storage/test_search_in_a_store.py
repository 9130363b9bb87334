"""A search whose run log is in an object store: its machine is lost, and another one goes on. Ray is played, the store is not."""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tuning"))

import small_search
from played_runner import command, play
from typer.testing import CliRunner

from foresight.run_folder import open_study_log
from foresight.storage.place import read_place
from foresight.tuning.export_optuna import app
from foresight.tuning.status import read_status

SEARCH = replace(small_search.SEARCH, asha=None)


def test_another_machine_goes_on_with_what_the_first_one_left_and_exports_it(s3_url, tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_LOCAL", str(tmp_path / "first"))
    runner = play(monkeypatch, tmp_path, lambda item: {"val/loss": item.trial.config.train.lr}, die_after=3)
    flags = ("--runs", s3_url, "--trials", "4")
    assert command(SEARCH, *flags).exit_code == 130
    before = list(runner.ran)
    monkeypatch.setenv("FORESIGHT_LOCAL", str(tmp_path / "second"))
    runner.die_after = None
    ended = command(SEARCH, *flags)
    assert ended.exit_code == 0, ended.output
    assert {key: runner.ran.count(key) for key in before} == {**dict.fromkeys(before[:3], 1), before[3]: 2}
    monkeypatch.setenv("FORESIGHT_LOCAL", str(tmp_path / "third"))
    url = read_place(s3_url).below("small_search").url
    log = open_study_log(url)
    assert set(log.read_manifest()["key"]) == set(log.statuses()) == set(runner.ran)
    assert read_status(log, 0.0).left == 0
    written = CliRunner().invoke(app, [url, "--storage", str(tmp_path / "search.journal")])
    assert (written.exit_code, "4 proposals of 'small_search' written" in written.output) == (0, True), written.output
