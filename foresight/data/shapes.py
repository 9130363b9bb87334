"""Single coloured shapes on varied, muted backgrounds: generated, so a laptop needs no download.

Image i of a split depends on the seed, the split and i alone: more training images change no other image.
From the first image on, every 24 hold each shape in each colour once and every 192 hold each of these on
each background once, so neither colour nor background tells the shape.

Drawing uses only operations that IEEE 754 rounds exactly (no sine, no matrix product), so every machine
draws the same bytes and the hash of a picture means the same everywhere.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

from foresight.config import DataConfig
from foresight.data.counter_hash import stream_of, u01
from foresight.data.image_set import SPLITS, ImageSet, hash_pixels

PIXELS_PER_CHUNK = 1 << 18  # drawn at once: 10 MB of float32, which stays in cache and bounds the memory
HALF_SIZE = (0.15, 0.27)  # of the image side
MARGIN = 0.02  # between a shape's box and the border, of the image side
TEXTURE = 0.12  # largest relative change of a background's brightness

COLOURS = {
    "red": (214, 40, 40),
    "orange": (245, 130, 30),
    "yellow": (245, 205, 40),
    "green": (40, 160, 60),
    "cyan": (30, 190, 210),
    "blue": (40, 80, 220),
    "purple": (140, 50, 190),
    "pink": (250, 110, 180),
}
BACKGROUNDS = {
    "ivory": (235, 228, 212),
    "mist": (205, 214, 222),
    "sand": (214, 198, 172),
    "sage": (176, 188, 168),
    "charcoal": (52, 54, 58),
    "slate": (62, 76, 92),
    "umber": (78, 62, 52),
    "moss": (60, 72, 56),
}


@dataclass(frozen=True)
class Drawings:
    """What is drawn in N images, float32 [N] or int [N]; lengths and positions in units of the image side."""

    shape: np.ndarray  # index into SHAPES
    colour: np.ndarray  # index into COLOURS
    background: np.ndarray  # index into BACKGROUNDS
    texture: np.ndarray  # index into TEXTURES
    half: np.ndarray  # half of the side of the shape's box
    x: np.ndarray  # centre of the shape's box
    y: np.ndarray
    slope_x: np.ndarray  # direction and strength of the texture, in [-1, 1]
    slope_y: np.ndarray
    phase: np.ndarray

    def __getitem__(self, rows: np.ndarray | slice) -> Self:
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def plan_drawings(seed: int, split: str, n: int) -> Drawings:
    """What images 0 to n - 1 of a split show."""
    stream, index = stream_of("shapes", split, seed), np.arange(n)
    combination, background = _balanced(stream, index)
    uniform = [u01(stream, index, field).astype(np.float32) for field in range(6)]
    half = HALF_SIZE[0] + (HALF_SIZE[1] - HALF_SIZE[0]) * uniform[0]
    room = 1 - 2 * (half + MARGIN)
    return Drawings(
        shape=combination % len(SHAPES),
        colour=combination // len(SHAPES),
        background=background,
        texture=(u01(stream, index, 6) * len(TEXTURES)).astype(int),
        half=half,
        x=half + MARGIN + room * uniform[1],
        y=half + MARGIN + room * uniform[2],
        slope_x=2 * uniform[3] - 1,
        slope_y=2 * uniform[4] - 1,
        phase=uniform[5],
    )


def render(drawings: Drawings, px: int) -> np.ndarray:
    """The pictures at `px` by `px`, uint8 [N, px, px, 3]."""
    n = len(drawings.half)
    pictures = np.empty((n, px, px, 3), dtype=np.uint8)
    step = max(1, PIXELS_PER_CHUNK // px**2)
    for start in range(0, n, step):
        part = drawings[start : start + step]
        cover = np.clip(np.float32(0.5) - _distance(part, px) * px, 0, 1)[..., None]
        background = _palette(BACKGROUNDS)[part.background][:, None, None]
        canvas = background * (1 + np.float32(TEXTURE) * _texture(part, px)[..., None])
        np.minimum(canvas, 1, out=canvas)
        canvas += cover * (_palette(COLOURS)[part.colour][:, None, None] - canvas)
        pictures[start : start + step] = canvas * 255 + np.float32(0.5)
    return pictures


def render_masks(drawings: Drawings, px: int) -> np.ndarray:
    """The pixels whose centre lies in the shape, bool [N, px, px]."""
    step = max(1, PIXELS_PER_CHUNK // px**2)
    parts = [_distance(drawings[i : i + step], px) <= 0 for i in range(0, len(drawings.half), step)]
    return np.concatenate(parts)


def load_splits(config: DataConfig, root: Path | None = None) -> dict[str, ImageSet]:
    """The three image sets, drawn. Generated images need no folder, so `root` is not read."""
    n_images = dict(zip(SPLITS, (config.n_train, config.n_val, config.n_test), strict=True))
    return {split: _draw_split(split, n, config) for split, n in n_images.items()}


def resolve_data(config: DataConfig, root: Path | None = None) -> DataConfig:
    """The config unchanged: generated images have no content beyond their seed, and never run out."""
    return config


def _draw_split(split: str, n: int, config: DataConfig) -> ImageSet:
    drawings = plan_drawings(config.seed, split, n)
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


def _palette(colours: dict[str, tuple[int, int, int]]) -> np.ndarray:
    return np.array(list(colours.values()), dtype=np.float32) / 255


def _centres(px: int) -> np.ndarray:
    return (np.arange(px, dtype=np.float32) + np.float32(0.5)) / px


def _distance(part: Drawings, px: int) -> np.ndarray:
    """Signed distance from each pixel centre to the shape's outline, negative inside: float32 [N, px, px]."""
    distance = np.empty((len(part.half), px, px), dtype=np.float32)
    for number, signed_distance in enumerate(SHAPES.values()):
        rows = part.shape == number
        dx = _centres(px)[None, None, :] - part.x[rows, None, None]
        dy = _centres(px)[None, :, None] - part.y[rows, None, None]
        distance[rows] = signed_distance(dx, dy, part.half[rows, None, None])
    return distance


def _texture(part: Drawings, px: int) -> np.ndarray:
    """Relative brightness of the background in [-1, 1]: float32 [N, px, px]."""
    brightness = np.empty((len(part.half), px, px), dtype=np.float32)
    for number, texture in enumerate(TEXTURES.values()):
        rows = part.texture == number
        slope_x, slope_y = part.slope_x[rows, None, None], part.slope_y[rows, None, None]
        x, y = _centres(px)[None, None, :], _centres(px)[None, :, None]
        brightness[rows] = texture(x, y, slope_x, slope_y, part.phase[rows, None, None])
    return brightness


def _circle(dx: np.ndarray, dy: np.ndarray, half: np.ndarray) -> np.ndarray:
    return np.sqrt(dx * dx + dy * dy) - half


def _square(dx: np.ndarray, dy: np.ndarray, half: np.ndarray) -> np.ndarray:
    return np.maximum(np.abs(dx), np.abs(dy)) - half


def _triangle(dx: np.ndarray, dy: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Apex up, filling its box: the larger of the distances to the base and to the nearer side."""
    side = (2 * np.abs(dx) - dy - half) / np.sqrt(np.float32(5))
    return np.maximum(side, dy - half)


def _wave(turns: np.ndarray) -> np.ndarray:
    """A smooth wave of period 1 in [-1, 1], by a polynomial because sines differ between machines."""
    ramp = np.abs(2 * (turns - np.floor(turns)) - 1)
    return 2 * ramp * ramp * (3 - 2 * ramp) - 1


def _gradient(x, y, slope_x, slope_y, phase):
    return slope_x * (x - np.float32(0.5)) + slope_y * (y - np.float32(0.5)) + (phase - np.float32(0.5)) / 2


def _stripes(x, y, slope_x, slope_y, phase):
    return _wave(5 * (slope_x * x + slope_y * y) + phase) / 2


def _checks(x, y, slope_x, slope_y, phase):
    return _wave((4 + 2 * slope_x) * x + phase) * _wave((4 + 2 * slope_y) * y + phase) / 2


SHAPES = {"circle": _circle, "square": _square, "triangle": _triangle}
TEXTURES = {"gradient": _gradient, "stripes": _stripes, "checks": _checks}
