"""A search written as an Optuna study: what Optuna reads back of it."""

import optuna
import pytest
import small_search
from optuna.trial import TrialState
from typer.testing import CliRunner, Result

from foresight.dimensions import Choice, FloatRange, IntRange, widen
from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.space import Arm, Trial
from foresight.tuning.export_optuna import app, export_study
from foresight.tuning.record import Planned, write_failure, write_stopped
from foresight.tuning.search_session import SearchSession
from foresight.tuning.search_study import SearchStudy
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
    session.declared.write(log)
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
    assert f"uvx optuna-dashboard {journal}" in written.output
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    assert len(optuna.load_study(study_name="small_search", storage=storage).trials) == 4
    again = CliRunner().invoke(app, [str(log.root), "--storage", str(journal)])
    assert again.exit_code == 2
    assert "has a study 'small_search' already" in again.output


@pytest.mark.parametrize("storage", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_storage_that_would_keep_nothing_is_refused(log, storage):
    refused = CliRunner().invoke(app, [str(log.root), "--storage", storage])
    assert refused.exit_code == 2
    assert "names no file, so nothing would be kept" in refused.output


@pytest.mark.parametrize("storage", ["nothing://x", "sqlite:////no/such/folder/search.db", "mysql://u:x@h:port/db"])
def test_a_storage_that_cannot_be_written_is_one_sentence(log, storage):
    with pytest.raises(RequestError, match="the storage cannot be written"):
        export_study(log, storage)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: folder / "nonsense", "is no journal's file"),
        (lambda folder: "", "is no journal's file"),
        (lambda folder: folder, "is no journal's file"),
        (lambda folder: folder / "no" / "dir.log", "is no journal's file"),
        (lambda folder: folder / "text.log", "no journal of Optuna's"),
        (lambda folder: folder / "list.log", "no journal of Optuna's"),
        (lambda folder: folder / "bytes.log", "cannot be written"),
    ],
)
def test_a_path_that_can_be_no_journal_is_one_sentence(log, tmp_path, make, sentence):
    (tmp_path / "text.log").write_text("not ours\n")
    (tmp_path / "list.log").write_text("[1]\n")
    (tmp_path / "bytes.log").write_bytes(b"\xff\xfe")
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.log")}
    refused = run(log.root, "--storage", make(tmp_path))
    assert (refused.exit_code, refused.output.count("\n")) == (2, 1), refused.output
    assert sentence in refused.output
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.log")} == before


def test_a_study_that_is_no_search_is_refused(tmp_path):
    with pytest.raises(RequestError, match="holds no search"):
        export_study(RunLog(tmp_path), "sqlite://")


@pytest.mark.parametrize(
    "content", ['{"study": ', '{"study": "x"}', '{"study": "x", "space": {"search": {"seeds": 2}}}']
)
def test_a_run_log_with_a_sweep_json_that_is_no_search_s_is_one_sentence(log, content):
    (log.root / "sweep.json").write_text(content)
    refused = run(log.root, "--storage", "sqlite://")
    assert (refused.exit_code, refused.output.count("\n")) == (2, 1), refused.output


@pytest.mark.parametrize(
    "url", ["mysql://me:sesame99@h/db", "mysql://me@h:sesame99/db", "mysql://h/db?password=sesame99"]
)
def test_no_password_of_a_storage_is_printed(log, url, monkeypatch):
    refused = run(log.root, "--storage", url)
    assert (refused.exit_code, "sesame99" in refused.output) == (2, False), refused.output
    create = optuna.create_study
    monkeypatch.setattr("optuna.create_study", lambda storage, **options: create(**options))
    written = run(log.root, "--storage", url)
    assert (written.exit_code, "sesame99" in written.output) == (0, False), written.output
    assert "next: uvx optuna-dashboard the same mysql://... URL" in written.output


def test_what_lies_outside_a_narrowed_space_is_written_as_it_was_run(log):
    sweep = log.read_sweep()
    for dimension in sweep["space"]["dimensions"]:
        if dimension["field"] == RATE:
            dimension |= {"low": 1e-3, "high": 4e-3}
        if dimension["field"] == "fusion.strategy":
            dimension["values"] = ["cross_attention"]
    log.write_sweep(sweep)
    study = export_study(log, "sqlite://")
    assert [trial.params[RATE] for trial in study.trials[1:]] == [0.05, 0.01, 0.02]
    assert study.trials[1].distributions[RATE].high == 0.05
    assert study.trials[3].params["fusion.strategy"] == "concat"


def test_a_dimension_that_is_widened_holds_what_was_run_and_stays_as_it_is_otherwise():
    layers, rate = IntRange("fusion.layers", 2, 8, step=2), FloatRange("train.lr", 0.1, 1.0, log=True)
    assert widen(layers, [4, 8]) is layers
    assert widen(layers, [4, 9]) == IntRange("fusion.layers", 2, 9)
    assert widen(rate, [0.01]) == FloatRange("train.lr", 0.01, 1.0, log=True)
    assert widen(rate, [0.0]) == FloatRange("train.lr", 0.0, 1.0)
    assert widen(layers, ["many"]) == Choice("fusion.layers", (2, 8, "many"))
    assert widen(Choice("a", (1, None)), [2, None, 2]) == Choice("a", (1, None, 2))


def test_what_the_export_proposes_by_is_what_the_search_does(log):
    proposed = SearchStudy(SPACE, small_search.SEARCH.check(SPACE), "random", 0, 8)
    for number in range(4):
        proposed.ask(number)
    exported = export_study(log, "sqlite://").trials[0]
    of_search = next(t for t in proposed.study.trials if set(t.params) == set(exported.params))
    assert exported.distributions == of_search.distributions
