"""A search written as an Optuna study: what Optuna reads back of it."""

import optuna
import pytest
import small_search
from optuna.trial import TrialState
from typer.testing import CliRunner

from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.space import Arm, Trial
from foresight.tuning.export_optuna import app, export_study
from foresight.tuning.record import Planned, write_failure, write_stopped
from foresight.tuning.search_session import SearchSession
from foresight.tuning.sweep import Placement

SPACE = small_search.space("tiny")
RATE = "train.lr"


def write(log: RunLog, arm: str, status: str, loss: float = 0.0, **changes) -> None:
    for seed in (0, 1) if status == "complete" else (0,):
        config = SPACE.baseline.with_fields(
            {name.replace("__", "."): value for name, value in changes.items()}
        ).at_seed(seed)
        planned = Planned(Trial(Arm(arm, "", "", config), config), "small_search", attempt=1, raced="val/loss")
        if status == "failed":
            write_failure(log, planned, "it diverged")
        elif status == "stopped":
            write_stopped(log, planned, [{"epoch": 1, "wall_s": 1.0, "val/loss": loss}], {}, 0.0, 1.0)
        else:
            log.write_trial(planned.identity() | {"status": "complete", "val/loss": loss + seed})


@pytest.fixture
def log(tmp_path) -> RunLog:
    log = RunLog(tmp_path / "runs" / "small_search")
    search = small_search.SEARCH
    session = SearchSession(search, SPACE, search.check(SPACE), 8, log, Placement(tmp_path, 1), (), None)
    session.write_declaration()
    write(log, "baseline", "complete", 2.0)
    write(log, "p001", "complete", 1.0, train__lr=0.05, fusion__heads=8)
    write(log, "p002", "stopped", 4.0, train__lr=0.01)
    write(log, "p003", "failed", train__lr=0.02, fusion__strategy="concat")
    return log


def test_optuna_reads_params_values_states_and_whose_they_are(log, tmp_path):
    url = f"sqlite:///{tmp_path / 'search.db'}"
    export_study(log, url)
    study = optuna.load_study(study_name="small_search", storage=url)
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert [trial.state for trial in study.trials] == [
        TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL,
    ]  # fmt: skip
    assert [trial.user_attrs["arm"] for trial in study.trials] == ["baseline", "p001", "p002", "p003"]
    assert study.best_trial.value == 1.5  # the mean of 1.0 and 2.0
    assert study.best_trial.params == {
        "fusion.strategy": "cross_attention", "fusion.heads": 8, "fusion.layers": 1, RATE: 0.05,
    }  # fmt: skip
    assert study.trials[2].intermediate_values == {1: 4.0}
    assert "fusion.heads" not in study.trials[3].params  # not proposed where the fusion is concat
    assert study.trials[1].user_attrs["seeds"] == [0, 1]
    assert set(study.trials[1].user_attrs["keys"]) <= set(log.statuses())


def test_the_command_writes_a_journal_and_refuses_to_write_it_twice(log, tmp_path):
    journal = tmp_path / "search.journal"
    written = CliRunner().invoke(app, [str(log.root), "--storage", str(journal)])
    assert written.exit_code == 0, written.output
    assert f"optuna-dashboard {journal}" in written.output
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    assert len(optuna.load_study(study_name="small_search", storage=storage).trials) == 4
    again = CliRunner().invoke(app, [str(log.root), "--storage", str(journal)])
    assert again.exit_code == 2
    assert "has a study 'small_search' already" in again.output


@pytest.mark.parametrize("storage", ["nothing://x", "sqlite:////no/such/folder/search.db"])
def test_a_storage_that_cannot_be_written_is_one_sentence(log, storage):
    with pytest.raises(RequestError, match="the storage cannot be written"):
        export_study(log, storage)


def test_a_study_that_is_no_search_is_refused(tmp_path):
    with pytest.raises(RequestError, match="holds no search"):
        export_study(RunLog(tmp_path), "sqlite://")
