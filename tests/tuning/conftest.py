from collections.abc import Iterator
from pathlib import Path

import pytest
from pretended import NAMES, Pretended

from foresight.tuning.session import Session


@pytest.fixture(scope="session")
def feature_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One feature cache for all studies that really run: they share their images and most of their features."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Pretended]:
    # Of the arms one is decided at the first look; the other is too noisy for any.
    made = Pretended(mean={NAMES[1]: -0.4}, noise={NAMES[2]: 0.3})
    monkeypatch.setattr(Session, "execute", lambda session, wanted, retry: made.execute(session, wanted, retry))
    monkeypatch.setattr(Session, "unmeasured", lambda session, wanted: [])
    monkeypatch.setattr("foresight.tuning.launch.cluster_gpus", lambda: 0.0)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setenv("FORESIGHT_CACHE", str(tmp_path / "cache"))
    yield made
