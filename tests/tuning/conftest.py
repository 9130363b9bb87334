from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import small_study
from command_line import SWEEP
from pretended import NAMES, Pretended
from typer.testing import CliRunner, Result

from foresight.runlog import RunLog
from foresight.tuning.launch import build_app
from foresight.tuning.record import Planned
from foresight.tuning.session import Session
from foresight.tuning.sweep import Sweep


@pytest.fixture(scope="session")
def feature_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One feature cache for all studies that really run: they share their images and most of their features."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    """The run log of small_study.py, empty."""
    return RunLog(tmp_path / "runs" / "small_study")


@pytest.fixture
def planned() -> Planned:
    """The second attempt at a trial of small_study.py."""
    return Planned(small_study.space("tiny").trials(2)[-1], "small_study", attempt=2)


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Pretended]:
    # Of the arms one is decided at the first look; the other is too noisy for any.
    made = Pretended(mean={NAMES[1]: -0.4}, noise={NAMES[2]: 0.3})
    monkeypatch.setattr(Session, "execute", lambda session, wanted, retry: made.execute(session, wanted, retry))
    monkeypatch.setattr(Session, "unmeasured", lambda session, wanted: [])
    monkeypatch.setattr("foresight.tuning.begin.cluster_gpus", lambda: 0.0)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setenv("FORESIGHT_CACHE", str(tmp_path / "cache"))
    yield made


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ray, training and feature extraction are out of bounds, and so are this machine's own caches and GPUs."""
    for name in ("ray_runtime.start_ray", "one_trial.record_trial"):
        monkeypatch.setattr(f"foresight.tuning.{name}", lambda *a: pytest.fail("something was started"))
    monkeypatch.setattr("foresight.tuning.begin.cluster_gpus", lambda: 0.0)
    monkeypatch.setenv("FORESIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FORESIGHT_CHECKPOINTS", raising=False)


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Result]:
    """Runs a study's command with `--scale tiny` and a run directory below tmp_path, unless told otherwise."""

    def run(*flags: str, sweep: Sweep = SWEEP, scale: str = "tiny", runs: Path = tmp_path / "runs") -> Result:
        arguments = ["--scale", scale, "--runs", str(runs), *map(str, flags)]
        return CliRunner().invoke(build_app(sweep), arguments)

    return run
