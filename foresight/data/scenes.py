"""Scenes of one to four coloured shapes that may overlap: generated, with every object's class, box and mask.

Image i of a split depends on the seed, the split and i alone, and has 1 + i mod 4 objects. The class of an
object is its shape and colour; for each place in the drawing order, every 12 images hold each class once.

The mask of a picture is that of all its objects, and its box the one around them, as a reconstruction has to show every one.
Later objects cover earlier ones. A box stays that of the whole object; a mask is what is seen of it. Objects
are placed with little overlap: of 50,000, one in a hundred shows less than 78 % of itself and none less than 6 %.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

from foresight.config import DataConfig
from foresight.data.canvas import (
    SHAPES,
    Ground,
    chunks,
    paint_ground,
    paint_shape,
    plan_ground,
    rgb,
    shape_distance,
    to_bytes,
)
from foresight.data.counter_hash import shuffled, stream_of, u01
from foresight.data.image_set import SPLITS, ImageSet, hash_pixels
from foresight.data.object_set import ObjectSet

MOST_OBJECTS = 4
COLOURS = ("red", "green", "blue", "yellow")
CLASSES = tuple(f"{colour} {shape}" for shape in SHAPES for colour in COLOURS)  # class = shape * 4 + colour
# Of the image side. The smallest object is wider than one of DINOv2's 14-px patches in an image of 112 px.
HALF_SIZE = (0.075, 0.15)
MARGIN = 0.02  # between an object's box and the border, of the image side
MOST_OVERLAP = 0.3  # of the smaller of two boxes: an object that is hidden whole could not be found by anything
N_CANDIDATES = 8  # positions tried for an object


@dataclass(frozen=True)
class Scenes:
    """What is drawn in N images of up to K objects, in drawing order; lengths in units of the image side."""

    ground: Ground
    n_objects: np.ndarray  # int [N]
    classes: np.ndarray  # int [N, K], index into CLASSES, -1 for no object
    half: np.ndarray  # float32 [N, K], half of the side of an object's box
    x: np.ndarray  # float32 [N, K], its centre
    y: np.ndarray

    def __getitem__(self, rows: np.ndarray | slice) -> Self:
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def plan_scenes(seed: int, split: str, n: int) -> Scenes:
    """What images 0 to n - 1 of a split show."""
    stream, index = stream_of("scenes", split, seed), np.arange(n)
    n_objects = 1 + index % MOST_OBJECTS
    classes = np.stack([shuffled(stream, n, len(CLASSES), 10 + k) for k in range(MOST_OBJECTS)], axis=1)
    share = np.stack([u01(stream, index, 20 + k) for k in range(MOST_OBJECTS)], axis=1).astype(np.float32)
    half = HALF_SIZE[0] + (HALF_SIZE[1] - HALF_SIZE[0]) * share
    x, y = _place(stream, index, half)
    return Scenes(
        ground=plan_ground(stream, index),
        n_objects=n_objects,
        classes=np.where(np.arange(MOST_OBJECTS) < n_objects[:, None], classes, -1),
        half=half,
        x=x,
        y=y,
    )


def render(scenes: Scenes, px: int) -> np.ndarray:
    """The pictures at `px` by `px`, uint8 [N, px, px, 3]."""
    n = len(scenes.n_objects)
    pictures = np.empty((n, px, px, 3), dtype=np.uint8)
    for rows in chunks(n, px):
        part = scenes[rows]
        canvas = paint_ground(part.ground, px)
        for k in range(MOST_OBJECTS):
            paint_shape(canvas, _distance(part, k, px), rgb(*COLOURS)[part.classes[:, k] % len(COLOURS)])
        pictures[rows] = to_bytes(canvas)
    return pictures


def render_instances(scenes: Scenes, px: int) -> np.ndarray:
    """Which object each pixel centre shows, uint8 [N, px, px]: 0 the ground, k + 1 object k."""
    n = len(scenes.n_objects)
    instances = np.zeros((n, px, px), dtype=np.uint8)
    for rows in chunks(n, px):
        for k in range(MOST_OBJECTS):
            instances[rows][_distance(scenes[rows], k, px) <= 0] = k + 1
    return instances


def load_splits(config: DataConfig, root: Path | None = None) -> dict[str, ImageSet]:
    """The three image sets with their `objects`, drawn. Generated images need no folder, so `root` is not read."""
    n_images = dict(zip(SPLITS, (config.n_train, config.n_val, config.n_test), strict=True))
    return {split: _draw_split(split, n, config) for split, n in n_images.items()}


def resolve_data(config: DataConfig, root: Path | None = None) -> DataConfig:
    """The config unchanged: generated images have no content beyond their seed, and never run out."""
    return config


def _draw_split(split: str, n: int, config: DataConfig) -> ImageSet:
    scenes = plan_scenes(config.seed, split, n)
    images = render(scenes, config.image_px)
    instances = render_instances(scenes, config.target_px)
    objects = _collect_objects(scenes, instances)
    return ImageSet(
        split=split,
        images=images,
        targets=np.ascontiguousarray(render(scenes, config.target_px).transpose(0, 3, 1, 2)),
        content=np.ones((n, config.target_px, config.target_px), dtype=bool),
        content_xyxy=np.tile(np.array([0, 0, 1, 1], dtype=np.float32), (n, 1)),
        masks=instances > 0,
        boxes_xyxy=_around_all(objects),
        sample_hash=np.array([hash_pixels(image) for image in images]),
        scene=np.array(["1 object", *(f"{k} objects" for k in range(2, MOST_OBJECTS + 1))])[scenes.n_objects - 1],
        objects=objects,
    )


def _around_all(objects: ObjectSet) -> np.ndarray:
    """The box around all objects of each picture, float32 [N, 4]."""
    is_object = objects.classes[..., None] >= 0
    low = np.where(is_object, objects.boxes_xyxy[..., :2], np.float32(1)).min(axis=1)
    high = np.where(is_object, objects.boxes_xyxy[..., 2:], np.float32(0)).max(axis=1)
    return np.concatenate([low, high], axis=1)


def _collect_objects(scenes: Scenes, instances: np.ndarray) -> ObjectSet:
    x, y, half = scenes.x, scenes.y, scenes.half
    boxes = np.stack([x - half, y - half, x + half, y + half], axis=-1)
    return ObjectSet(
        boxes_xyxy=np.where(scenes.classes[..., None] >= 0, boxes, np.float32(0)),
        classes=scenes.classes.astype(np.int64),
        n_objects=scenes.n_objects.astype(np.int64),
        class_names=CLASSES,
        instances=instances,
    )


def _place(stream: int, index: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the boxes: x and y, float32 [N, K].

    Each object takes the first of its candidates that overlaps no earlier object by more than MOST_OVERLAP,
    or the one that overlaps least where there is none.
    """
    x, y = np.zeros_like(half), np.zeros_like(half)
    for k in range(half.shape[1]):
        own = half[:, k, None]
        fields_of_k = [100 + 2 * (k * N_CANDIDATES + candidate) for candidate in range(N_CANDIDATES)]
        u = np.stack([u01(stream, index, field) for field in fields_of_k], axis=1).astype(np.float32)
        v = np.stack([u01(stream, index, field + 1) for field in fields_of_k], axis=1).astype(np.float32)
        near, room = own + MARGIN, 1 - 2 * (own + MARGIN)
        tried_x, tried_y = near + room * u, near + room * v
        overlap = np.zeros_like(tried_x)
        for j in range(k):
            other, least = half[:, j, None], 2 * np.minimum(own, half[:, j, None])
            wide = np.clip(own + other - np.abs(tried_x - x[:, j, None]), 0, least)
            high = np.clip(own + other - np.abs(tried_y - y[:, j, None]), 0, least)
            overlap = np.maximum(overlap, wide * high / (least * least))
        free = overlap <= MOST_OVERLAP
        chosen = np.where(free.any(axis=1), free.argmax(axis=1), overlap.argmin(axis=1))
        x[:, k] = tried_x[np.arange(len(index)), chosen]
        y[:, k] = tried_y[np.arange(len(index)), chosen]
    return x, y


def _distance(part: Scenes, k: int, px: int) -> np.ndarray:
    """As `shape_distance` for the k-th object of each scene, infinite where there is none."""
    shape = part.classes[:, k] // len(COLOURS)  # -1 stays -1
    return shape_distance(shape, part.x[:, k], part.y[:, k], part.half[:, k], px)
