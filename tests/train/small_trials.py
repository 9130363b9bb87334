"""Trials of a few images and a fraction of a second."""

from foresight.config import TrialConfig
from foresight.features.extract import compute
from foresight.features.requests import missing_requests
from foresight.features.store import ArrayStore

SMALL = {
    "data.n_train": 8, "data.n_val": 3, "data.n_test": 5, "data.image_px": 56,
    "fusion.layers": 1, "fusion.queries": 16, "train.epochs": 2, "train.batch_size": 4,
}  # fmt: skip


def small(**fields) -> TrialConfig:
    """A small trial; `train__lr=0.1` is its field `train.lr`."""
    return TrialConfig().with_fields(SMALL | {name.replace("__", "."): value for name, value in fields.items()})


def small_adapter(**fields) -> TrialConfig:
    """A small trial with an adapter in the place of the fusion."""
    kept = {name: value for name, value in SMALL.items() if not name.startswith("fusion.")}
    adapter = {"bridge": "adapter", "adapter.budget_params": 20_000, "adapter.layers": 1, "adapter.queries": 16}
    return TrialConfig().with_fields(
        kept | adapter | {name.replace("__", "."): value for name, value in fields.items()}
    )


def fill(store: ArrayStore, *configs: TrialConfig) -> ArrayStore:
    """The store with everything that these trials read."""
    for stage in missing_requests(configs, store):
        for request in stage:
            compute(request, store)
    return store


def small_detector(**fields) -> TrialConfig:
    """A small trial of a detector on scenes."""
    kept = {name: value for name, value in SMALL.items() if not name.startswith("fusion.")}
    detector = {
        "task": "detection", "data.name": "scenes", "streams": "dinov2", "detector.width": 32, "detector.n_queries": 6,
        "train.lr": 2e-3,
    }  # fmt: skip
    return TrialConfig().with_fields(
        kept | detector | {name.replace("__", "."): value for name, value in fields.items()}
    )


def small_ltx(**fields) -> TrialConfig:
    """A small trial that the toy LTX-Video draws."""
    toy = {
        "data.name": "big_shapes", "data.target_px": 64, "fusion.conditioning_dim": 64, "decoder.name": "ltx",
        "decoder.sampling_steps": 2,
    }  # fmt: skip
    return TrialConfig().with_fields(SMALL | toy | {name.replace("__", "."): value for name, value in fields.items()})
