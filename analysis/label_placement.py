"""Puts names beside the points of a scatter so that no two names, and no name and point, overlap.

Greedy: points that must be named first, then the freest to the most crowded, each take the cheapest of many places
around them; a name away from its point gets a thin line to it. Other points go without a name where none would be
clear: ten names around one blob say nothing. Deterministic, so the same numbers give the same figure.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from analysis.figure_style import MUTED, PAPER, SMALL_PT

RINGS_PT = (5, 10, 16, 23, 31, 40, 50, 61, 73, 86, 100)
DIRECTIONS = 16
NEAR_PT = 6  # a name this close needs no line to its point
POINT_PT = 2.5  # half the side of the square that a point keeps free
# What a place costs, in points of distance: a pixel of overlap outweighs any walk; a name nearer to another point than
# to its own would be read as that point's; a line through a name, a mark or another line is ugly but legible.
OVERLAP_COST, MISREAD_COST, CROSSING_COST = 50.0, 40.0, 80.0
SHORT_PT, SHORT_MISREAD_COST = 12, 150.0  # a line this short hardly says whose the name is
# A name on a thin line has a halo and is legible, so that it need not walk across the figure to be free of every interval.
LINE_COST, HALO_PT = 0.5, 1.5
CLEAR_COST = 26.0  # a place cheaper than this is beside its point and in nobody's way


def place_labels(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    required: Sequence[bool],
    lines: Sequence[Line2D] = (),
) -> None:
    """Adds `names` beside `points` (data coordinates), where possible clear of the `lines` that are already drawn.

    An empty name is passed over; one that is not `required` is left out where no clear place exists. The figure must
    have been drawn once, so that its axes have their final place.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    scale = figure.dpi / 72
    pixels = axes.transData.transform(np.asarray(points, dtype=float))
    half = POINT_PT * scale
    inside = np.asarray(axes.get_window_extent(renderer).extents) + half * np.array(
        [1, 1, -1, -1]
    )  # clear of the spines
    taken = [np.array([x - half, y - half, x + half, y + half]) for x, y in pixels]
    thin = [box for line in lines for box in _boxes_along(axes.transData.transform(line.get_xydata()))]
    taken += [np.asarray(text.get_window_extent(renderer).extents) for text in axes.texts]
    distance = np.hypot(*(pixels[:, None, :] - pixels[None, :, :]).transpose(2, 0, 1))
    crowding = np.sort(distance, axis=1)[:, : min(5, len(points))].sum(axis=1)
    n_fixed = len(taken)  # what follows are names
    leaders: list[tuple[np.ndarray, np.ndarray]] = []
    for i in np.lexsort((-crowding, ~np.asarray(required, dtype=bool))):
        if not names[i]:
            continue
        text = axes.annotate(
            names[i], points[i], (0, 0), textcoords="offset points", fontsize=SMALL_PT, va="center", zorder=5,
            path_effects=[withStroke(linewidth=HALO_PT, foreground=PAPER)],
        )  # fmt: skip
        size = np.asarray(text.get_window_extent(renderer).size)
        cost, box = _cheapest_place(i, pixels, size, scale, inside, np.array(taken), n_fixed, np.array(thin), leaders)
        if not required[i] and cost > CLEAR_COST:
            text.remove()
            continue
        text.set_position(((box[0] - pixels[i][0]) / scale, ((box[1] + box[3]) / 2 - pixels[i][1]) / scale))
        taken.append(box)
        end = _nearest_in(box, pixels[i])
        own = np.hypot(*(end - pixels[i]))
        nearest = _nearest_other(box, i, pixels)
        if own > NEAR_PT * scale or nearest < own:  # else it could be read as another's
            leaders.append((pixels[i], end))
            x, y = axes.transData.inverted().transform(np.array([pixels[i], end])).T
            axes.plot(x, y, color=MUTED, linewidth=0.4, zorder=2.5, scalex=False, scaley=False)


def _cheapest_place(
    i: int, pixels: np.ndarray, size: np.ndarray, scale: float, inside: np.ndarray, taken: np.ndarray,
    n_fixed: int, thin: np.ndarray, leaders: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[float, np.ndarray]:  # fmt: skip
    """The least cost of the name of point `i`, and the box in pixels (x0, y0, x1, y1) that has it."""
    point, (width, height) = pixels[i], size
    best_cost, best = math.inf, np.array([*point, point[0] + width, point[1] + height])
    for ring in RINGS_PT:
        for step in range(DIRECTIONS):
            # Right first, then alternating up and down towards the left: a name reads best behind its point.
            angle = 2 * math.pi * ((step + 1) // 2) / DIRECTIONS * (1 if step % 2 else -1)
            dx, dy = ring * scale * math.cos(angle), ring * scale * math.sin(angle)
            left = dx if abs(angle) < 1.4 else dx - width if abs(angle) > 1.75 else dx - width / 2
            x0, y0 = point[0] + left, point[1] + dy - height / 2
            box = np.array([x0, y0, x0 + width, y0 + height])
            if (box[:2] < inside[:2]).any() or (box[2:] > inside[2:]).any():
                continue
            end = _nearest_in(box, point)
            own = float(np.hypot(*(end - point)))
            nearest = _nearest_other(box, i, pixels)
            crossings = sum(_crosses(box, *leader) for leader in leaders)
            if own > NEAR_PT * scale:  # its own line
                in_its_way = [*np.delete(taken[: len(pixels)], i, axis=0), *taken[n_fixed:]]
                crossings += sum(_crosses(other, point, end) for other in in_its_way)
                crossings += sum(_meet(point, end, *leader) for leader in leaders)
            cost = ring + 0.05 * step + OVERLAP_COST * _overlap(box, taken) + CROSSING_COST * crossings
            cost += LINE_COST * _overlap(box, thin)
            cost += (MISREAD_COST if own > SHORT_PT * scale else SHORT_MISREAD_COST) * (nearest < own)
            if cost < best_cost:
                best_cost, best = cost, box
    return best_cost, best


def _nearest_other(box: np.ndarray, i: int, pixels: np.ndarray) -> float:
    """How far the nearest point but point `i` is from the box."""
    others = np.delete(pixels, i, axis=0)
    return float(np.hypot(*(np.clip(others, box[:2], box[2:]) - others).T).min(initial=math.inf))


def _nearest_in(box: np.ndarray, point: np.ndarray) -> np.ndarray:
    return np.clip(point, box[:2], box[2:])


def _overlap(box: np.ndarray, others: np.ndarray) -> float:
    if not len(others):
        return 0.0
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return float(np.clip(sides, 0, None).prod(axis=1).sum())


def _crosses(box: np.ndarray, start: np.ndarray, end: np.ndarray) -> bool:
    """Whether the line from `start` to `end` goes through the box, looked at in twenty places."""
    along = start + np.linspace(0.05, 0.95, 20)[:, None] * (end - start)
    return bool(((along > box[:2]) & (along < box[2:])).all(axis=1).any())


def _meet(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> bool:
    """Whether the line from `a` to `b` and that from `c` to `d` have a point in common: each parts the other's ends."""

    def side(p: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
        return float(np.sign((end[0] - start[0]) * (p[1] - start[1]) - (end[1] - start[1]) * (p[0] - start[0])))

    return side(a, c, d) != side(b, c, d) and side(c, a, b) != side(d, a, b)


def _boxes_along(corners: np.ndarray) -> list[np.ndarray]:
    """Thin boxes around the upright and level pieces of a line, in pixels."""
    return [np.concatenate([np.minimum(a, b) - 1, np.maximum(a, b) + 1]) for a, b in pairwise(corners)]
