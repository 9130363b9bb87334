"""The work that all systems do: one small trial of the E-P2.5 baseline on cached features."""

from functools import cache
from pathlib import Path

from foresight.config import TrialConfig
from foresight.features.extract import compute
from foresight.features.requests import missing_requests
from foresight.features.stage import StagedData, stage
from foresight.features.store import ArrayStore
from foresight.metrics.lpips import Lpips, load_lpips
from search_spaces.p2_ablations import baseline


def short_trial(seed: int) -> TrialConfig:
    """A trial of about a second: one epoch of 32 images, so that what surrounds it shows."""
    changes = {"data.n_train": 32, "data.n_val": 8, "data.n_test": 16, "train.epochs": 1, "seed": seed}
    return baseline("tiny").with_fields(changes)


def load_data(config: TrialConfig, root: Path) -> StagedData:
    """Staged features, computed first if they are not cached."""
    store = ArrayStore(root)
    for requests in missing_requests([config], store):
        for request in requests:
            compute(request, store)
    return stage(config, store, "cpu")


@cache
def kept_data(root: Path) -> StagedData:
    """The short trials' data, loaded once by a process."""
    return load_data(short_trial(0), root)


@cache
def kept_lpips() -> Lpips:
    """LPIPS, built once by a process."""
    return load_lpips(None)
