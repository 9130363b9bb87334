"""Single coloured shapes, generated, so a laptop needs no download: `shapes` on varied, muted backgrounds, and `big_shapes`.

`big_shapes` are larger and lie on one plain background. A toy video decoder can learn to draw them in a minute, and on a
plain background an object shows in the picture itself, so a decoder without a mask can be scored.

Image i of a split depends on the seed, the split and i alone: more training images change no other image.
From the first image on, every 24 hold each shape in each colour once and every 192 hold each of these on
each background once, so neither colour nor background tells the shape.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

from foresight.config import DataConfig
from foresight.data.canvas import (
    BACKGROUNDS,
    COLOURS,
    SHAPES,
    TEXTURES,
    Ground,
    chunks,
    paint_ground,
    paint_shape,
    plain_ground,
    rgb,
    shape_distance,
    to_bytes,
)
from foresight.data.counter_hash import stream_of, u01
from foresight.data.image_set import SPLITS, ImageSet, hash_pixels

MARGIN = 0.02  # between a shape's box and the border, of the image side


@dataclass(frozen=True)
class Style:
    """What tells the data sets of this file apart."""

    half_size: tuple[float, float]  # of a shape's box, least and most, of the image side
    background: str | None = None  # the one plain background; None: all of them, textured


STYLES = {"shapes": Style((0.15, 0.27)), "big_shapes": Style((0.22, 0.34), background="ivory")}


@dataclass(frozen=True)
class Drawings:
    """What is drawn in N images, float32 [N] or int [N]; lengths and positions in units of the image side."""

    shape: np.ndarray  # index into SHAPES
    colour: np.ndarray  # index into COLOURS
    ground: Ground
    half: np.ndarray  # half of the side of the shape's box
    x: np.ndarray  # centre of the shape's box
    y: np.ndarray

    def __getitem__(self, rows: np.ndarray | slice) -> Self:
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def plan_drawings(seed: int, split: str, n: int, name: str = "shapes") -> Drawings:
    """What images 0 to n - 1 of a split show; `name` is a data set of STYLES."""
    stream, index, style = stream_of(name, split, seed), np.arange(n), STYLES[name]
    combination, background = _balanced(stream, index)
    uniform = [u01(stream, index, field).astype(np.float32) for field in range(6)]
    least, most = style.half_size
    half = least + (most - least) * uniform[0]
    room = 1 - 2 * (half + MARGIN)
    texture = (u01(stream, index, 6) * len(TEXTURES)).astype(int)
    ground = Ground(background, texture, 2 * uniform[3] - 1, 2 * uniform[4] - 1, uniform[5])
    return Drawings(
        shape=combination % len(SHAPES),
        colour=combination // len(SHAPES),
        ground=plain_ground(n, style.background) if style.background else ground,
        half=half,
        x=half + MARGIN + room * uniform[1],
        y=half + MARGIN + room * uniform[2],
    )


def render(drawings: Drawings, px: int) -> np.ndarray:
    """The pictures at `px` by `px`, uint8 [N, px, px, 3]."""
    n = len(drawings.half)
    pictures = np.empty((n, px, px, 3), dtype=np.uint8)
    for rows in chunks(n, px):
        part = drawings[rows]
        canvas = paint_ground(part.ground, px)
        paint_shape(canvas, _distance(part, px), rgb(*COLOURS)[part.colour])
        pictures[rows] = to_bytes(canvas)
    return pictures


def render_masks(drawings: Drawings, px: int) -> np.ndarray:
    """The pixels whose centre lies in the shape, bool [N, px, px]."""
    parts = [_distance(drawings[rows], px) <= 0 for rows in chunks(len(drawings.half), px)]
    return np.concatenate(parts)


def load_splits(config: DataConfig, root: Path | None = None) -> dict[str, ImageSet]:
    """The three image sets, drawn. Generated images need no folder, so `root` is not read."""
    n_images = dict(zip(SPLITS, (config.n_train, config.n_val, config.n_test), strict=True))
    return {split: _draw_split(split, n, config) for split, n in n_images.items()}


def resolve_data(config: DataConfig, root: Path | None = None) -> DataConfig:
    """The config unchanged: generated images have no content beyond their seed, and never run out."""
    return config


def _draw_split(split: str, n: int, config: DataConfig) -> ImageSet:
    drawings = plan_drawings(config.seed, split, n, config.name)
    images = render(drawings, config.image_px)
    x, y, half = drawings.x, drawings.y, drawings.half
    return ImageSet(
        split=split,
        images=images,
        targets=np.ascontiguousarray(render(drawings, config.target_px).transpose(0, 3, 1, 2)),
        content=np.ones((n, config.target_px, config.target_px), dtype=bool),
        content_xyxy=np.tile(np.array([0, 0, 1, 1], dtype=np.float32), (n, 1)),
        masks=render_masks(drawings, config.target_px),
        boxes_xyxy=np.stack([x - half, y - half, x + half, y + half], axis=1),
        sample_hash=np.array([hash_pixels(image) for image in images]),
        scene=np.array(list(SHAPES))[drawings.shape],
    )


def _balanced(stream: int, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the 24 combinations of shape and colour, and which background, each image has: two int [N]."""
    n_combinations, n_backgrounds = len(SHAPES) * len(COLOURS), len(BACKGROUNDS)
    block, place = np.divmod(index, n_combinations)
    # place -> factor * place + shift is one-to-one modulo 24 for a factor that shares no divisor with 24.
    factors = np.flatnonzero(np.gcd(np.arange(n_combinations), n_combinations) == 1)
    factor = factors[(u01(stream, block, 7) * len(factors)).astype(int)]
    shift = (u01(stream, block, 8) * n_combinations).astype(int)
    combination = (factor * place + shift) % n_combinations
    # Over 8 blocks each combination goes once through all backgrounds, starting at one of its own.
    era = block // n_backgrounds
    start = u01(stream, era * n_combinations + combination, 9) * n_backgrounds
    return combination, (start.astype(int) + block) % n_backgrounds


def _distance(part: Drawings, px: int) -> np.ndarray:
    return shape_distance(part.shape, part.x, part.y, part.half, px)
