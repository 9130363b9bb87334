"""Arms so far behind the others that an axis with them on it would show nothing else.

In: the quality of every arm. One arm that diverged takes three quarters of an axis, and the differences that the figure is
for shrink to the size of a mark. Such arms stand at the edge of the figure, with their number and an arrow.
"""

from dataclasses import dataclass

import pandas as pd

FAR = 8.0  # times as far behind the best arm as the middle one
MOST_SHARE = 0.25  # of the arms; of more than these, being far behind is what the study shows
GAP, PAD = 0.1, 0.12  # of the height: from the others to the edge where far arms stand, and to the axis' ends


@dataclass(frozen=True)
class FarArms:
    """Which arms stand at the `edge`, and the ends of an axis that holds it and all others."""

    is_far: pd.Series
    edge: float
    limits: tuple[float, float]


def place_far_arms(arms: pd.DataFrame, higher: bool, kept: pd.Series) -> FarArms | None:
    """The far ones of arms (`quality`, and `low`, `high` of its interval, maybe nan), None without any.

    Those `kept` stand at their own place.
    """
    loss = arms["quality"].max() - arms["quality"] if higher else arms["quality"] - arms["quality"].min()
    is_far = (loss > FAR * loss.median()) & ~kept
    if not 0 < is_far.mean() <= MOST_SHARE or loss.median() == 0:
        return None
    near = arms.loc[~is_far, ["quality", "low", "high"]]
    low, high = float(near.min(axis=None)), float(near.max(axis=None))
    gap, pad = GAP * (high - low), PAD * (high - low)
    if higher:
        return FarArms(is_far, low - gap, (low - gap - pad, high + pad))
    return FarArms(is_far, high + gap, (low - pad, high + gap + pad))
