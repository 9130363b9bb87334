"""What generated pictures are drawn with: muted grounds, and coloured shapes by signed distance.

Only operations that IEEE 754 rounds exactly are used (no sine, no matrix product), so every machine draws
the same bytes and the hash of a picture means the same everywhere. Lengths and positions are in units of
the image side.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from foresight.data.counter_hash import u01

PIXELS_PER_CHUNK = 1 << 18  # drawn at once: 10 MB of float32, which stays in cache and bounds the memory
TEXTURE = 0.12  # largest relative change of a ground's brightness

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
class Ground:
    """What N pictures show behind their shapes."""

    background: np.ndarray  # int [N], index into BACKGROUNDS
    texture: np.ndarray  # int [N], index into TEXTURES
    slope_x: np.ndarray  # float32 [N], direction and strength of the texture, in [-1, 1]
    slope_y: np.ndarray
    phase: np.ndarray  # float32 [N], in [0, 1)

    def __getitem__(self, rows: np.ndarray | slice) -> Self:
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def __len__(self) -> int:
        return len(self.background)


def plan_ground(stream: int, index: np.ndarray) -> Ground:
    """Any ground, independent of everything else in the picture; uses the fields 0 to 4 of the stream."""
    slope_x, slope_y, phase = (u01(stream, index, field).astype(np.float32) for field in (2, 3, 4))
    return Ground(
        background=(u01(stream, index, 0) * len(BACKGROUNDS)).astype(int),
        texture=(u01(stream, index, 1) * len(TEXTURES)).astype(int),
        slope_x=2 * slope_x - 1,
        slope_y=2 * slope_y - 1,
        phase=phase,
    )


def plain_ground(n: int, background: str) -> Ground:
    """One flat background for all N pictures: a gradient without a slope, half-way through its range."""
    level = np.zeros(n, dtype=np.float32)
    texture = np.full(n, list(TEXTURES).index("gradient"))
    return Ground(np.full(n, list(BACKGROUNDS).index(background)), texture, level, level, level + np.float32(0.5))


def chunks(n: int, px: int) -> Iterator[slice]:
    """Slices of N pictures that are drawn at once."""
    step = max(1, PIXELS_PER_CHUNK // px**2)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def paint_ground(ground: Ground, px: int) -> np.ndarray:
    """The pictures without any shape, float32 [N, px, px, 3] in [0, 1]."""
    canvas = _palette(BACKGROUNDS)[ground.background][:, None, None]
    canvas = canvas * (1 + np.float32(TEXTURE) * _brightness(ground, px)[..., None])
    return np.minimum(canvas, 1, out=canvas)


def paint_shape(canvas: np.ndarray, distance: np.ndarray, colours: np.ndarray) -> None:
    """Blends a shape into each picture, in place: `distance` as of `shape_distance`, `colours` float32 [N, 3]."""
    cover = np.clip(np.float32(0.5) - distance * canvas.shape[1], 0, 1)[..., None]
    canvas += cover * (colours[:, None, None] - canvas)


def to_bytes(canvas: np.ndarray) -> np.ndarray:
    """Rounded to uint8."""
    return (canvas * 255 + np.float32(0.5)).astype(np.uint8)


def rgb(*names: str) -> np.ndarray:
    """The named colours, float32 [names, 3] in [0, 1]."""
    return _palette({name: COLOURS[name] for name in names})


def shape_distance(shape: np.ndarray, x: np.ndarray, y: np.ndarray, half: np.ndarray, px: int) -> np.ndarray:
    """Signed distance from each pixel centre to a shape's outline, negative inside: float32 [N, px, px].

    `shape` is int [N], an index into SHAPES, or -1 for none, which is infinitely far; `x`, `y` (centre) and
    `half` (of the side) of the shape's box are float32 [N].
    """
    distance = np.full((len(shape), px, px), np.inf, dtype=np.float32)
    for number, signed_distance in enumerate(SHAPES.values()):
        rows = shape == number
        dx = _centres(px)[None, None, :] - x[rows, None, None]
        dy = _centres(px)[None, :, None] - y[rows, None, None]
        distance[rows] = signed_distance(dx, dy, half[rows, None, None])
    return distance


def _palette(colours: dict[str, tuple[int, int, int]]) -> np.ndarray:
    return np.array(list(colours.values()), dtype=np.float32) / 255


def _centres(px: int) -> np.ndarray:
    return (np.arange(px, dtype=np.float32) + np.float32(0.5)) / px


def _brightness(ground: Ground, px: int) -> np.ndarray:
    """Relative brightness in [-1, 1]: float32 [N, px, px]."""
    brightness = np.empty((len(ground), px, px), dtype=np.float32)
    for number, texture in enumerate(TEXTURES.values()):
        rows = ground.texture == number
        slope_x, slope_y = ground.slope_x[rows, None, None], ground.slope_y[rows, None, None]
        x, y = _centres(px)[None, None, :], _centres(px)[None, :, None]
        brightness[rows] = texture(x, y, slope_x, slope_y, ground.phase[rows, None, None])
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
