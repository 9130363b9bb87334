"""Clips of one coloured shape that moves and bounces off the borders: generated, with mask and box in every frame.

Clip i of a split depends on the seed, the split and i alone, and its frame k not on how many frames follow.
Every 4 clips hold each motion once and every 24 each shape in each colour once. Where a shape starts, how
fast it is and what is behind it are independent of its motion, so that one frame does not tell it.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

from foresight.config import DataConfig
from foresight.data.canvas import (
    COLOURS,
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
from foresight.data.clip_set import ClipSet
from foresight.data.counter_hash import shuffled, stream_of, u01
from foresight.data.image_set import SPLITS, hash_pixels

HALF_SIZE = (0.10, 0.18)  # of the image side: small enough to have room to move
MARGIN = 0.02  # between a shape's box and the border it bounces off, of the image side
SPEED = (0.03, 0.09)  # of the image side in a frame
DIAGONAL = 0.70710678  # along each axis, so that the speed is the same in every direction


@dataclass(frozen=True)
class Motions:
    """What is drawn in N clips of T frames; lengths and positions in units of the image side."""

    ground: Ground
    shape: np.ndarray  # int [N], index into SHAPES
    colour: np.ndarray  # int [N], index into COLOURS
    motion: np.ndarray  # int [N], index into MOTIONS
    half: np.ndarray  # float32 [N], half of the side of the shape's box
    x: np.ndarray  # float32 [N, T], centre of the shape's box in each frame
    y: np.ndarray

    def __getitem__(self, rows: np.ndarray | slice) -> Self:
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def plan_motions(seed: int, split: str, n: int, n_frames: int) -> Motions:
    """What clips 0 to n - 1 of a split show."""
    stream, index = stream_of("clips", split, seed), np.arange(n)
    motion = shuffled(stream, n, len(MOTIONS), 10)
    combination = shuffled(stream, n, len(SHAPES) * len(COLOURS), 11)
    size, speed, start_x, start_y = (u01(stream, index, field).astype(np.float32) for field in (12, 13, 14, 15))
    half = HALF_SIZE[0] + (HALF_SIZE[1] - HALF_SIZE[0]) * size
    room = 1 - 2 * (half + MARGIN)
    speed = SPEED[0] + (SPEED[1] - SPEED[0]) * speed
    step = speed[:, None] * np.array(list(MOTIONS.values()), dtype=np.float32)[motion]
    backwards = np.stack([u01(stream, index, field) < 0.5 for field in (16, 17)], axis=1)
    step = np.where(backwards, -step, step)
    return Motions(
        ground=plan_ground(stream, index),
        shape=combination % len(SHAPES),
        colour=combination // len(SHAPES),
        motion=motion,
        half=half,
        x=(half + MARGIN)[:, None] + bounce(room * start_x, step[:, 0], room, n_frames),
        y=(half + MARGIN)[:, None] + bounce(room * start_y, step[:, 1], room, n_frames),
    )


def bounce(start: np.ndarray, step: np.ndarray, room: np.ndarray, n_frames: int) -> np.ndarray:
    """Positions in [0, `room`] of what moves by `step` a frame and bounces at both ends: [N, n_frames]."""
    travelled = (start[:, None] + step[:, None] * np.arange(n_frames, dtype=np.float32)) / room[:, None]
    turn = travelled - 2 * np.floor(travelled / 2)  # there and back again is 2
    return room[:, None] * (1 - np.abs(turn - 1))


def render(motions: Motions, px: int) -> np.ndarray:
    """The frames at `px` by `px`, uint8 [N, T, px, px, 3]."""
    n, n_frames = motions.x.shape
    frames = np.empty((n, n_frames, px, px, 3), dtype=np.uint8)
    for rows in chunks(n, px):
        part = motions[rows]
        ground = paint_ground(part.ground, px)
        for frame in range(n_frames):
            canvas = ground.copy()
            paint_shape(canvas, _distance(part, frame, px), rgb(*COLOURS)[part.colour])
            frames[rows, frame] = to_bytes(canvas)
    return frames


def render_masks(motions: Motions, px: int) -> np.ndarray:
    """The pixels whose centre lies in the shape, bool [N, T, px, px]."""
    n, n_frames = motions.x.shape
    masks = np.empty((n, n_frames, px, px), dtype=bool)
    for rows in chunks(n, px):
        for frame in range(n_frames):
            masks[rows, frame] = _distance(motions[rows], frame, px) <= 0
    return masks


def load_splits(config: DataConfig, root: Path | None = None) -> dict[str, ClipSet]:
    """The three clip sets, drawn. Generated clips need no folder, so `root` is not read."""
    n_clips = dict(zip(SPLITS, (config.n_train, config.n_val, config.n_test), strict=True))
    return {split: _draw_split(split, n, config) for split, n in n_clips.items()}


def resolve_data(config: DataConfig, root: Path | None = None) -> DataConfig:
    """The config unchanged: generated clips have no content beyond their seed, and never run out."""
    return config


def _draw_split(split: str, n: int, config: DataConfig) -> ClipSet:
    motions = plan_motions(config.seed, split, n, config.n_frames)
    frames = render(motions, config.image_px)
    x, y, half = motions.x, motions.y, motions.half[:, None]
    return ClipSet(
        split=split,
        frames=frames,
        targets=np.ascontiguousarray(render(motions, config.target_px).transpose(0, 1, 4, 2, 3)),
        content=np.ones((n, config.target_px, config.target_px), dtype=bool),
        content_xyxy=np.tile(np.array([0, 0, 1, 1], dtype=np.float32), (n, 1)),
        sample_hash=np.array([hash_pixels(clip) for clip in frames]),
        scene=np.array(list(MOTIONS))[motions.motion],
        masks=render_masks(motions, config.target_px),
        boxes_xyxy=np.stack([x - half, y - half, x + half, y + half], axis=-1),
    )


def _distance(part: Motions, frame: int, px: int) -> np.ndarray:
    return shape_distance(part.shape, part.x[:, frame], part.y[:, frame], part.half, px)


# Along x and along y, of the speed. A clip that stands still scores well on every smoothness: tables show it apart.
MOTIONS = {"still": (0, 0), "horizontal": (1, 0), "vertical": (0, 1), "diagonal": (DIAGONAL, DIAGONAL)}
