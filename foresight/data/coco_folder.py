"""What a folder in COCO's layout holds, by its annotation files and file sizes: no image is decoded.

A split of COCO is there when its image folder is: `train2017/` with `annotations/instances_train2017.json`,
and the same for `val2017`. An image counts when it has a usable object: not a crowd, with an area and an
outline.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foresight.data.counter_hash import stream_of, u01
from foresight.errors import RequestError

READER_VERSION = 1  # raise it when the same folder gives other arrays, so that no old trial passes for a new one
FOLDERS = ("train2017", "val2017")
VAL_FRAC = 0.1  # of the images that train and val are taken from
TEST_FRAC = 0.2  # of all images, where the folder has one split only and test must come from it as well
LARGEST_ID = 2**63 - 1  # ids are hashed as 64-bit integers
MOST_OBJECTS = 50  # of an image, the largest ones: more would be padding in every image for the sake of a few


@dataclass(frozen=True)
class Photograph:
    """One annotated image and its object: the largest usable one, by annotated area; its others as boxes."""

    path: Path
    image_id: int
    width: int  # px, as annotated
    height: int
    n_bytes: int
    segmentation: Any  # COCO's polygons or run lengths
    box_xywh: tuple[float, float, float, float]  # px, left, top, width, height
    scene: str  # the object's supercategory
    # Category id and box xywh in px of every usable object, largest first, MOST_OBJECTS at most.
    objects: tuple[tuple[int, tuple[float, ...]], ...]


@dataclass(frozen=True)
class CocoFolder:
    """The usable images of a folder, dealt to `train`, `val` and `test`, each in the order of taking."""

    root: Path
    fingerprint: str
    pools: dict[str, list[Photograph]]
    categories: dict[int, str]  # id to name, in the order of ids, which have gaps


def read_folder(coco_root: Path | None, seed: int) -> CocoFolder:
    """Reads the annotations and deals the images by a hash of `seed` and image id.

    With both splits present, test comes from `val2017` and the other two from `train2017`; with one, all
    three come from it. The fingerprint is 16 hex digits over the annotations, the reader's version and the
    names and byte sizes of the images, the same wherever the folder stands. Raises RequestError for a
    folder that cannot be used.
    """
    if coco_root is None:
        raise RequestError("the data 'coco' needs the folder that holds it; give it with --coco-root DIR")
    root = Path(coco_root)
    if not root.is_dir():
        raise RequestError(f"the COCO folder '{root}' does not exist; give --coco-root a folder with val2017/ in it")
    digest = hashlib.sha256(f"coco reader {READER_VERSION}".encode())
    photographs: dict[str, list[Photograph]] = {}
    categories: dict[int, str] = {}
    for folder in _present_folders(root):
        photographs[folder], names = _read_split(root, folder, digest)
        for number, name in names.items():
            if categories.setdefault(number, name) != name:
                raise RequestError(
                    f"the annotation files of the COCO folder '{root}' disagree on category {number}: "
                    f"'{categories[number]}' and '{name}'; unpack annotations of the same release"
                )
    ordered = {folder: _hash_order(found, seed) for folder, found in photographs.items()}
    return CocoFolder(root, digest.hexdigest()[:16], _deal(root, ordered), dict(sorted(categories.items())))


def count_distinct(pools: dict[str, list[Photograph]], wanted: dict[str, int]) -> dict[str, int]:
    """How many images each split can give; byte-identical copies count once, in test before val before train.

    Reads only files whose size and dimensions another file shares, and only where a split could fall short.
    """

    def suspicion(photo: Photograph) -> tuple[int, int, int]:
        return photo.n_bytes, photo.width, photo.height

    alike = Counter(suspicion(photo) for pool in pools.values() for photo in pool)
    suspects = {split: [p for p in pool if alike[suspicion(p)] > 1] for split, pool in pools.items()}
    if all(len(pools[split]) - len(suspects[split]) >= wanted[split] for split in pools):
        return {split: len(pool) for split, pool in pools.items()}
    seen: set[bytes] = set()
    n_distinct = {}
    for split in ("test", "val", "train"):
        contents = {hashlib.sha256(photo.path.read_bytes()).digest() for photo in suspects[split]}
        n_distinct[split] = len(pools[split]) - len(suspects[split]) + len(contents - seen)
        seen |= contents
    return n_distinct


def _annotation_path(root: Path, folder: str) -> Path:
    return root / "annotations" / f"instances_{folder}.json"


def _present_folders(root: Path) -> list[str]:
    annotated = [folder for folder in FOLDERS if _annotation_path(root, folder).is_file()]
    if not annotated:
        raise RequestError(
            f"the COCO folder '{root}' has no annotation file: expected annotations/instances_val2017.json "
            "(and annotations/instances_train2017.json); unpack COCO's annotations there"
        )
    present = [folder for folder in FOLDERS if (root / folder).is_dir()]
    if not present:
        names = " or ".join(f"{folder}/" for folder in annotated)
        raise RequestError(f"the COCO folder '{root}' has annotations but no images: expected {names} beside them")
    for folder in present:
        if folder not in annotated:
            expected = _annotation_path(root, folder).relative_to(root)
            raise RequestError(
                f"the COCO folder '{root}' has {folder}/ but not its annotation file: expected {expected}; "
                f"add the file or take {folder}/ away"
            )
    return present


def _read_split(root: Path, folder: str, digest: Any) -> tuple[list[Photograph], dict[int, str]]:
    """The usable photographs of one split, and its categories; feeds annotations, names and sizes into the digest."""
    path = _annotation_path(root, folder)
    content = path.read_bytes()
    digest.update(folder.encode() + hashlib.sha256(content).digest())
    try:
        instances = json.loads(content)
        found = list(_parse(instances, root / folder))
        categories = {int(kind["id"]): str(kind["name"]) for kind in instances["categories"]}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise RequestError(
            f"the annotation file '{path}' is not readable as COCO instances "
            f"({type(error).__name__}: {error}); unpack it again"
        ) from error
    missing = [photo.path.name for photo in found if photo.n_bytes < 0]
    if missing:
        raise RequestError(
            f"{len(missing)} of the {len(found)} annotated images are missing from '{root / folder}', for "
            f"example {missing[0]}; unpack the images again or drop them from {path.name}"
        )
    for photo in sorted(found, key=lambda photo: photo.path.name):
        digest.update(f"{photo.path.name}\0{photo.n_bytes}\0".encode())
    return found, categories


def _parse(instances: dict[str, Any], folder: Path) -> Iterator[Photograph]:
    """The photographs with a usable object; `n_bytes` is -1 for a file that is not there."""
    scenes = {kind["id"]: str(kind.get("supercategory") or kind["name"]) for kind in instances["categories"]}
    usable: dict[int, list[dict[str, Any]]] = {}
    for annotation in sorted(instances["annotations"], key=lambda a: (-a["area"], a["id"])):
        if _usable(annotation):
            usable.setdefault(annotation["image_id"], []).append(annotation)
    for image in instances["images"]:
        if image["id"] in usable:
            annotations = usable[image["id"]][:MOST_OBJECTS]
            largest = annotations[0]
            left, top, width, height = map(float, largest["bbox"])
            if not 0 <= int(image["id"]) <= LARGEST_ID:
                raise ValueError(f"the image id {image['id']!r:.40} is outside 0 to {LARGEST_ID}")
            path = folder / image["file_name"]
            yield Photograph(
                path=path,
                image_id=int(image["id"]),
                width=int(image["width"]),
                height=int(image["height"]),
                n_bytes=path.stat().st_size if path.is_file() else -1,
                segmentation=largest["segmentation"],
                box_xywh=(left, top, width, height),
                scene=scenes[largest["category_id"]],
                objects=tuple((int(a["category_id"]), tuple(map(float, a["bbox"]))) for a in annotations),
            )


def _usable(annotation: dict[str, Any]) -> bool:
    if annotation.get("iscrowd", 0) or not annotation["area"] > 0 or not annotation["segmentation"]:
        return False
    if isinstance(annotation["segmentation"], list):  # pycocotools takes four numbers for a box, not an outline
        return all(len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in annotation["segmentation"])
    return True


def _hash_order(photographs: list[Photograph], seed: int) -> list[Photograph]:
    order = u01(stream_of("coco", seed), np.array([photo.image_id for photo in photographs], dtype=np.int64), 0)
    ranked = sorted(zip(order, (p.image_id for p in photographs), photographs, strict=True), key=lambda row: row[:2])
    return [photo for _, _, photo in ranked]


def _deal(root: Path, ordered: dict[str, list[Photograph]]) -> dict[str, list[Photograph]]:
    """Shares by rank in hash order, so that small folders too give every split an image."""
    if len(ordered) == len(FOLDERS):
        rest, test = ordered["train2017"], ordered["val2017"]
        needs, enough = "2 in train2017/ and 1 in val2017/", len(rest) >= 2 and len(test) >= 1
    else:
        (pool,) = ordered.values()
        n_test = max(1, round(len(pool) * TEST_FRAC))
        rest, test = pool[n_test:], pool[:n_test]
        needs, enough = f"3 in {next(iter(ordered))}/", len(pool) >= 3
    if not enough:
        held = " and ".join(f"{len(pool)} in {folder}/" for folder, pool in ordered.items())
        raise RequestError(
            f"the COCO folder '{root}' has too few images with a usable object: {held}, and at least {needs} "
            "are needed for a training, a validation and a test image; add images"
        )
    n_val = max(1, round(len(rest) * VAL_FRAC))
    return {"train": rest[n_val:], "val": rest[:n_val], "test": test}
