"""Photographs in COCO's layout, letterboxed; the largest annotated object gives the true mask and box.

All usable objects are in `objects` with boxes and categories but without masks: detection is measured on boxes,
and rasterising every outline would cost every study that reads photographs.
"""

from pathlib import Path
from typing import Any

import numpy as np

from foresight.config import DataConfig
from foresight.data.coco_folder import MOST_OBJECTS, CocoFolder, Photograph, count_distinct, read_folder
from foresight.data.image_set import SPLITS, ImageSet, hash_pixels
from foresight.data.letterbox import (
    box_to_frame,
    content_mask,
    content_rect,
    letterbox_image,
    letterbox_mask,
)
from foresight.data.object_set import ObjectSet
from foresight.errors import RequestError


def resolve_data(config: DataConfig, coco_root: Path | None) -> DataConfig:
    """The config with the folder's fingerprint and with no split larger than the folder can give.

    Reads the annotations, not the images. Raises RequestError for a folder that cannot be used.
    """
    folder = read_folder(coco_root, config.seed)
    wanted = {split: getattr(config, f"n_{split}") for split in SPLITS}
    held = count_distinct(folder.pools, wanted)
    counts = {f"n_{split}": min(wanted[split], held[split]) for split in SPLITS}
    empty = [split for split in SPLITS if not counts[f"n_{split}"]]
    if empty:
        raise RequestError(
            f"the COCO folder '{folder.root}' has too few images: every image of the split '{empty[0]}' is a "
            "copy of one in another split; remove the copies and add images"
        )
    return config.model_copy(update={"fingerprint": folder.fingerprint, **counts})


def load_splits(config: DataConfig, coco_root: Path | None) -> dict[str, ImageSet]:
    """The three image sets of a resolved config.

    A picture that the folder holds twice is used once: in test rather than val, in val rather than train.
    Raises RequestError when the folder is not the one that the config was resolved with, or cannot be read.
    """
    folder = read_folder(coco_root, config.seed)
    if config.fingerprint != folder.fingerprint:
        planned = f"'{config.fingerprint}'" if config.fingerprint else "no fingerprint: resolve the config first"
        raise RequestError(
            f"the COCO folder '{folder.root}' is not the one that was planned with: its content has the "
            f"fingerprint '{folder.fingerprint}', the plan has {planned}; plan again, or restore the folder"
        )
    seen: set[str] = set()
    loaded = {split: _load_split(split, folder, config, seen) for split in ("test", "val", "train")}
    return {split: loaded[split] for split in SPLITS}


def _load_split(split: str, folder: CocoFolder, config: DataConfig, seen: set[str]) -> ImageSet:
    """The first `n` pictures of the pool that are not in `seen`, which learns them."""
    n, pool = getattr(config, f"n_{split}"), folder.pools[split]
    if len(pool) < n:
        raise RequestError(
            f"the split '{split}' asks for {n} images but the COCO folder '{folder.root}' has {len(pool)} "
            f"for it; plan again with this folder, which lowers n_{split}"
        )
    images = np.empty((n, config.image_px, config.image_px, 3), dtype=np.uint8)  # most of the memory: held once
    rows: list[dict[str, Any]] = []
    taken: list[Photograph] = []
    copies: list[str] = []
    for photograph in pool:
        picture = _read_picture(photograph)
        name = hash_pixels(np.asarray(picture))
        if name in seen:
            copies.append(f"{photograph.path.parent.name}/{photograph.path.name}")
            continue
        seen.add(name)
        images[len(rows)] = letterbox_image(picture, config.image_px)
        rows.append({"sample_hash": name, **_describe(photograph, picture, config.target_px)})
        taken.append(photograph)
        if len(rows) == n:
            break
    else:
        raise RequestError(
            f"the split '{split}' asks for {n} images but the COCO folder '{folder.root}' has {len(rows)} "
            f"for it after leaving out copies ({len(copies)}, such as {copies[0]}); remove them and plan again"
        )
    columns = {column: np.array([row[column] for row in rows]) for column in rows[0]}
    return ImageSet(split=split, images=images, objects=_collect_objects(taken, folder.categories), **columns)


def _describe(photograph: Photograph, picture: Any, target_px: int) -> dict[str, Any]:
    """One row of an ImageSet, apart from the encoders' image and the hash."""
    size = (photograph.width, photograph.height)
    return {
        "targets": letterbox_image(picture, target_px).transpose(2, 0, 1),
        "content": content_mask(*size, target_px),
        "content_xyxy": np.array(content_rect(*size), dtype=np.float32),
        "masks": letterbox_mask(_object_mask(photograph), target_px),
        "boxes_xyxy": np.array(_box_xyxy(photograph.box_xywh, *size), dtype=np.float32),
        "scene": photograph.scene,
    }


def _collect_objects(photographs: list[Photograph], categories: dict[int, str]) -> ObjectSet:
    """Largest first; a class is the rank of the category's id, because COCO's ids have gaps."""
    rank = {number: k for k, number in enumerate(categories)}
    boxes = np.zeros((len(photographs), MOST_OBJECTS, 4), dtype=np.float32)
    classes = np.full((len(photographs), MOST_OBJECTS), -1, dtype=np.int64)
    for row, photograph in enumerate(photographs):
        for k, (category, box_xywh) in enumerate(photograph.objects):
            boxes[row, k] = _box_xyxy(box_xywh, photograph.width, photograph.height)
            classes[row, k] = rank[category]
    return ObjectSet(boxes, classes, (classes >= 0).sum(axis=1), tuple(categories.values()))


def _box_xyxy(box_xywh: tuple[float, ...], width: int, height: int) -> tuple[float, float, float, float]:
    """A box in pixels of the photograph as a normalised box in the square frame."""
    left, top, box_width, box_height = box_xywh
    return box_to_frame((left, top, left + box_width, top + box_height), width, height)


def _read_picture(photograph: Photograph) -> Any:
    """The file as a pillow RGB image. EXIF turns are not followed: COCO annotates the pixels as stored."""
    from PIL import Image

    try:
        with Image.open(photograph.path) as opened:
            picture = opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RequestError(
            f"the image '{photograph.path}' cannot be read ({error}); replace the file or drop it from the annotations"
        ) from error
    if picture.size != (photograph.width, photograph.height):
        raise RequestError(
            f"the image '{photograph.path}' is {picture.width} x {picture.height} px but annotated as "
            f"{photograph.width} x {photograph.height}; unpack images and annotations of the same release"
        )
    return picture


def _object_mask(photograph: Photograph) -> np.ndarray:
    """The object's mask, bool [height, width] of the photograph."""
    from pycocotools import mask as run_lengths

    size = (photograph.height, photograph.width)
    try:
        coded = photograph.segmentation
        if isinstance(coded, list) or isinstance(coded["counts"], list):
            coded = run_lengths.frPyObjects(coded, *size)
        if isinstance(coded, list):
            coded = run_lengths.merge(coded)
        mask = run_lengths.decode(coded).astype(bool)
        if mask.shape != size:
            raise ValueError(f"its mask is {mask.shape[1]} x {mask.shape[0]} px, the image {size[1]} x {size[0]}")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise RequestError(
            f"the annotation of image {photograph.image_id} ('{photograph.path.name}') has an unreadable "
            f"mask ({error}); unpack the annotation file again"
        ) from error
    if not mask.any():  # an outline thinner than a pixel rasterises to nothing; the object is there all the same
        left, top, width, height = photograph.box_xywh
        x, y = int(left + width / 2), int(top + height / 2)
        mask[min(max(y, 0), size[0] - 1), min(max(x, 0), size[1] - 1)] = True
    return mask
