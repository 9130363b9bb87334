import pytest
import torch
from small_trials import fill, small

from foresight.features.stage import StagedData, stage
from foresight.features.store import ArrayStore
from foresight.metrics.lpips import Lpips, load_lpips

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> ArrayStore:
    """The images and features of `small()`."""
    return fill(ArrayStore(tmp_path_factory.mktemp("cache")), small())


@pytest.fixture
def data(store) -> StagedData:
    """Staged anew for each test, so that one may spoil it."""
    return stage(small(), store, "cpu")


@pytest.fixture(scope="session")
def lpips() -> Lpips:
    return load_lpips(None)
