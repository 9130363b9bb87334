"""What is trained and measured on: image sets in three splits, proved disjoint before anything sees them.

Starts without torch, and without pillow or pycocotools until a folder of photographs is read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from foresight.config import DataConfig
from foresight.data import coco, shapes
from foresight.data.image_set import SPLITS, ImageSet
from foresight.data.letterbox import valid_tokens
from foresight.data.splits import prove_disjoint
from foresight.errors import RequestError, nearest_name

__all__ = [
    "DATASETS",
    "SPLITS",
    "Dataset",
    "ImageSet",
    "load_splits",
    "prove_disjoint",
    "resolve_data",
    "valid_tokens",
]


@dataclass(frozen=True)
class Dataset:
    """The two functions that a dataset has; both take the config and the folder, if there is one to read."""

    load: Callable[[DataConfig, Path | None], dict[str, ImageSet]]
    resolve: Callable[[DataConfig, Path | None], DataConfig]


def load_splits(config: DataConfig, coco_root: Path | None = None) -> dict[str, ImageSet]:
    """The image sets `train`, `val` and `test` with exactly the numbers of images that the config asks for.

    A folder's config must have been resolved. Raises RequestError when the folder cannot give what the
    config says, ValueError when two splits share an image.
    """
    sets = _dataset(config).load(config, coco_root)
    prove_disjoint(sets)
    return sets


def resolve_data(config: DataConfig, coco_root: Path | None = None) -> DataConfig:
    """The config as the data at hand can serve it, without decoding an image.

    Generated images: unchanged. A folder: its fingerprint filled in, `n_train`, `n_val` and `n_test`
    clipped to what it holds. Raises RequestError for a folder that cannot be used.
    """
    return _dataset(config).resolve(config, coco_root)


def _dataset(config: DataConfig) -> Dataset:
    if config.name not in DATASETS:
        hint = nearest_name(config.name, DATASETS)
        raise RequestError(f"unknown data '{config.name}'{hint}; the data sets are {', '.join(DATASETS)}")
    return DATASETS[config.name]


DATASETS: dict[str, Dataset] = {
    "shapes": Dataset(shapes.load_splits, shapes.resolve_data),
    "coco": Dataset(coco.load_splits, coco.resolve_data),
}
