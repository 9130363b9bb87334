"""Pareto fronts as pure functions of numbers: which points are on one, its volume, its knee, and how surely.

In: points [n_points, n_objectives] with the direction of each objective, or draws of them. Membership and volume are
moocore's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from moocore import hypervolume, is_nondominated

DECADE = 10.0  # positive costs that span more than this are set apart by their logarithm
REFERENCE = 1.1  # of every objective, where 0 is the best point and 1 the worst: the worst still count a little


@dataclass(frozen=True)
class Scaling:
    """Brings points to [0, 1] in every objective, 0 the best and 1 the worst of those it was made from."""

    best: np.ndarray
    worst: np.ndarray
    is_log: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        shown = np.where(
            self.is_log, np.log(np.where(self.is_log, np.maximum(points, np.finfo(float).tiny), 1.0)), points
        )
        return (shown - self.best) / np.where(self.worst == self.best, 1.0, self.worst - self.best)


def compute_scaling(points: np.ndarray, maximise: Sequence[bool]) -> Scaling:
    """The scaling whose 0 and 1 are the best and the worst of `points`, logarithmic where costs span over a decade."""
    lowest, highest, up = points.min(axis=0), points.max(axis=0), np.asarray(maximise)
    is_log = ~up & (lowest > 0) & (highest > DECADE * lowest)
    ends = [np.where(is_log, np.log(np.where(is_log, end, 1.0)), end) for end in (lowest, highest)]
    return Scaling(np.where(up, ends[1], ends[0]), np.where(up, ends[0], ends[1]), is_log)


def on_front(points: np.ndarray, maximise: Sequence[bool]) -> np.ndarray:
    """True where no other point is at least as good in every objective and better in one; equal points share a front."""
    return is_nondominated(points, maximise=list(maximise), keep_weakly=True)


def compute_front_share(draws: np.ndarray, maximise: Sequence[bool]) -> np.ndarray:
    """Share of the draws [n_draws, n_points, n_objectives] in which each point is on the front."""
    return np.mean([on_front(draw, maximise) for draw in draws], axis=0)


def compute_domination_share(
    draws: np.ndarray, maximise: Sequence[bool], dominators: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """For each point the share of draws in which one of `dominators` dominates it, for the likeliest, and which it is.

    Of several that dominate it in every draw, the first; -1 for a point that none dominates in any.
    """
    # Objectives first: to compare along a last axis of two or three takes several times as long.
    losses = np.ascontiguousarray(np.moveaxis(draws * np.where(maximise, -1.0, 1.0), 2, 0))
    best, which = np.zeros(draws.shape[1]), np.full(draws.shape[1], -1)
    for i in dominators:
        unsure = np.flatnonzero(best < 1)
        of_others, mine = losses[:, :, unsure], losses[:, :, i : i + 1]
        share = ((mine <= of_others).all(axis=0) & (mine < of_others).any(axis=0)).mean(axis=0)
        is_likelier = share > best[unsure]
        which[unsure[is_likelier]] = i
        best[unsure] = np.maximum(best[unsure], share)
    return best, which


def count_rivals(draws: np.ndarray, maximise: Sequence[bool]) -> np.ndarray:
    """For each point the number of others that could dominate it: no worse in any objective that is the same in all draws."""
    fixed = (np.ptp(draws, axis=0) == 0).all(axis=0)
    losses = (draws[0] * np.where(maximise, -1.0, 1.0))[:, fixed]
    return np.array([(losses <= mine).all(axis=1).sum() - 1 for mine in losses])


def compute_hypervolume(points: np.ndarray, scaling: Scaling) -> float:
    """The share of the box from the best point to the reference point (1.1 in every objective) that is dominated, 0 to 1."""
    # A draw may lie outside what the scaling was made from; a cost drawn below 0 has no logarithm to speak of.
    inside = np.clip(scaling.apply(points), -1.0, REFERENCE)
    return float(hypervolume(inside, ref=[REFERENCE] * points.shape[1])) / REFERENCE ** points.shape[1]


def find_knee(points: np.ndarray, maximise: Sequence[bool]) -> int | None:
    """The point of the front that lies farthest on the good side of the line (plane) through the front's extremes.

    On the front scaled to [0, 1] that line is sum = 1 (Das 1999, for two objectives). None where the front has fewer than
    three points or none of them lies before the line.
    """
    front = np.flatnonzero(on_front(points, maximise))
    if len(np.unique(points[front], axis=0)) < 3:
        return None
    distance = (1 - compute_scaling(points[front], maximise).apply(points[front]).sum(axis=1)) / np.sqrt(
        points.shape[1]
    )
    return int(front[distance.argmax()]) if distance.max() > 0 else None
