"""One stored study for the tests that only read it, and a way to write others."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from gate_studies import FEW, SWEEP
from odd_logs import LAYERS, ODD
from study_writer import StudyWriter, with_gaps
from typer.testing import CliRunner, Result

from analysis import Study, load
from analysis.__main__ import app
from foresight.runlog import RunLog


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test first asks for the report waits until every figure is drawn."""
    for item in items:
        if "reported" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session", autouse=True)
def no_disk_flush() -> Iterator[None]:
    """Thousands of small files that nobody needs after a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        yield


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., Path]:
    """Writes `runs/<name>` and returns its path; keywords are StudyWriter's fields."""
    return lambda name="p2_ablations", **fields: StudyWriter(tmp_path / "runs" / name, **fields).write()


@pytest.fixture(scope="session")
def complete_study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """All 15 arms at all 5 seeds, for tests that only read."""
    return load(StudyWriter(tmp_path_factory.mktemp("complete") / "runs" / "p2_ablations").write())


@dataclass(frozen=True)
class Reported:
    """One run of the command over a study with a failed, a stopped and a missing trial, gate closed."""

    exit_code: int
    output: str
    folder: Path
    study: Path

    @property
    def html(self) -> str:
        return (self.folder / "report.html").read_text()


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """The whole command, once for all tests that read its files: figures take seconds."""
    root = tmp_path_factory.mktemp("reported")
    study = StudyWriter(root / "runs" / "p2_ablations", change_row=with_gaps, with_details=True).write()
    arguments = ["p2_ablations", "--runs", str(root / "runs"), "--out", str(root / "results"), "--gate"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    return Reported(result.exit_code, result.output, root / "results" / "p2_ablations", study)


@pytest.fixture
def write_full(tmp_path: Path):
    """Writes runs/<name> of two arms at full scale; keywords are StudyWriter's."""
    return lambda name, **fields: StudyWriter(
        tmp_path / "runs" / name, **{"space": FEW, "sweep": SWEEP} | fields
    ).write()


@pytest.fixture
def run_analysis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the command of the analysis without its figures, which take seconds and say nothing about gates."""
    monkeypatch.setattr("analysis.report.draw_figures", lambda study: [])
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, list(words), catch_exceptions=False)

    return run


@pytest.fixture
def cautions(tmp_path):
    """Writes three arms at `n_seeds` seeds and returns what is said, by kind; `change` is added to one arm's rows."""

    def said(change=None, everywhere=False, edit=None, **fields) -> dict[str, str]:
        def changed(trial, row):
            return row | (change or {}) if everywhere or trial.arm.name == ODD else row

        path = StudyWriter(
            tmp_path / "study", **{"space": LAYERS, "n_seeds": 2, "change_row": changed} | fields
        ).write()
        if edit is not None:
            edit(RunLog(path))
        found: dict[str, str] = {}
        for caution in load(path).cautions():
            found[caution.kind] = f"{found[caution.kind]} {caution.text}" if caution.kind in found else caution.text
        return found

    return said
