from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def feature_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One feature cache for all studies that really run: they share their images and most of their features."""
    return tmp_path_factory.mktemp("cache")
