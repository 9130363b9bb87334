"""What is trained and measured on: images or clips in three splits, proved disjoint before anything sees them.

Starts without torch, and without pillow, pycocotools or PyAV until a folder is read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from foresight.config import DataConfig
from foresight.data import clips, coco, davis, scenes, shapes, ssv2
from foresight.data.clip_set import ClipSet
from foresight.data.image_set import SPLITS, ImageSet
from foresight.data.letterbox import valid_tokens
from foresight.data.object_set import ObjectSet
from foresight.data.splits import prove_disjoint
from foresight.errors import RequestError, nearest_name

__all__ = [
    "CLIP_DATASETS",
    "DATASETS",
    "SPLITS",
    "ClipSet",
    "Dataset",
    "ImageSet",
    "ObjectSet",
    "load_clip_splits",
    "load_splits",
    "prove_disjoint",
    "resolve_data",
    "valid_tokens",
]

Record = TypeVar("Record", ImageSet, ClipSet)


@dataclass(frozen=True)
class Dataset(Generic[Record]):
    """The two functions that a dataset has; both take the config and the folder, if there is one to read."""

    load: Callable[[DataConfig, Path | None], dict[str, Record]]
    resolve: Callable[[DataConfig, Path | None], DataConfig]


def load_splits(config: DataConfig, root: Path | None = None) -> dict[str, ImageSet]:
    """The image sets `train`, `val` and `test` with exactly the numbers of images that the config asks for.

    Of clips these are the frames, clip after clip. A folder's config must have been resolved. Raises RequestError
    when the folder cannot give what the config says, ValueError when two splits share an image.
    """
    if config.name in CLIP_DATASETS:
        return {split: clips.as_pictures() for split, clips in load_clip_splits(config, root).items()}
    sets = _look_up(config.name, DATASETS).load(config, root)
    prove_disjoint(sets)
    return sets


def load_clip_splits(config: DataConfig, root: Path | None = None) -> dict[str, ClipSet]:
    """As `load_splits`, with the clips whole."""
    sets = _look_up(config.name, CLIP_DATASETS).load(config, root)
    prove_disjoint(sets, kind="clips")
    return sets


def resolve_data(config: DataConfig, root: Path | None = None) -> DataConfig:
    """The config as the data at hand can serve it, without decoding an image.

    Generated images: unchanged. A folder: its fingerprint filled in, `n_train`, `n_val` and `n_test` clipped to what
    it holds; which of its clips are copies or too short shows only when they load. Raises RequestError for a folder
    that cannot be used.
    """
    return _look_up(config.name, {**DATASETS, **CLIP_DATASETS}).resolve(config, root)


def _look_up(name: str, table: Mapping[str, Dataset[Any]]) -> Dataset[Any]:
    if name not in table:
        hint = nearest_name(name, table)
        raise RequestError(f"unknown data '{name}'{hint}; the data sets are {', '.join(table)}")
    return table[name]


DATASETS: dict[str, Dataset[ImageSet]] = {
    "shapes": Dataset(shapes.load_splits, shapes.resolve_data),
    "big_shapes": Dataset(shapes.load_splits, shapes.resolve_data),
    "scenes": Dataset(scenes.load_splits, scenes.resolve_data),
    "coco": Dataset(coco.load_splits, coco.resolve_data),
}
CLIP_DATASETS: dict[str, Dataset[ClipSet]] = {
    "clips": Dataset(clips.load_splits, clips.resolve_data),
    "ssv2": Dataset(ssv2.load_splits, ssv2.resolve_data),
    "davis": Dataset(davis.load_splits, davis.resolve_data),
}
