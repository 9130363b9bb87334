"""Sizes of models on record, so that a plan which was made before is shown without torch and without building anything.

The record is derived: delete it and it comes back. It belongs to one state of the code and one version of torch, and to the
whole of what a model is built from, so a size that could be another one is counted anew.
"""

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from foresight.config import TrialConfig
from foresight.errors import DISK_ERRORS
from foresight.storage.local import atomic_write_bytes

Size = dict[str, float]
PACKAGE = Path(__file__).resolve().parent


def sized_config(config: TrialConfig) -> TrialConfig:
    """The config with one value for all that does not change a size, so that a sweep builds each distinct model once."""
    data = {"seed": 0, "n_train": 1, "n_val": 1, "n_test": 1, "fingerprint": "", "augmentation": "none", "views": 1}
    return config.model_copy(
        update={
            "seed": 0,
            "train": type(config.train)(),
            "loss": type(config.loss)(),
            "timing": type(config.timing)(),
            "data": config.data.model_copy(update=data),
            # A layer of the language model has the shape of every other; those of the vision tower have not.
            "vlm": config.vlm.model_copy(update={"layer": "final"}) if config.vlm.layer.isdigit() else config.vlm,
            "dinov2": config.dinov2.model_copy(update={"layer": "final"}),
        }
    )


def recall_sizes(
    configs: Iterable[TrialConfig], folder: Path, measure: Callable[[list[TrialConfig]], Iterable[Size]]
) -> dict[TrialConfig, Size]:
    """The size of each sized config: as `folder` has it on record, else as `measure` finds it, which is then on record.

    `measure` is given all that are missing and answers in their order; what it had answered when it was ended is kept.
    """
    path = folder / f"sizes-{code_version()}.json"
    known, new = _read(path), {}
    names = {config: hashlib.sha256(config.model_dump_json().encode()).hexdigest() for config in configs}
    missing = {name: config for config, name in names.items() if name not in known}
    try:
        for name, size in zip(missing, measure(list(missing.values())) if missing else (), strict=True):
            new[name] = size
    finally:
        if new:
            _keep(path, _read(path) | new)
    sizes = known | new
    return {config: sizes[name] for config, name in names.items()}


@cache
def code_version() -> str:
    """A hash over the library's source and the version of torch."""
    digest = hashlib.sha256(importlib.metadata.version("torch").encode())
    for file in sorted(PACKAGE.rglob("*.py")):
        digest.update(file.relative_to(PACKAGE).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _read(path: Path) -> dict[str, Size]:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):  # none yet, or damaged: all is counted again
        return {}


def _keep(path: Path, sizes: dict[str, Size]) -> None:
    """Where the folder cannot be made or written, or its disk is full, the next plan counts again."""
    existing = next(parent for parent in path.absolute().parents if os.access(parent, os.F_OK))
    if not os.access(existing, os.W_OK | os.X_OK):
        return
    try:
        atomic_write_bytes(path, json.dumps(sizes).encode())
        for old in path.parent.glob("sizes-*.json"):  # of another state of the code
            if old != path:
                old.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
