"""The interval of a metric's mean, cut at what the metric can be.

In: a metric and values, or interval ends. A t interval of two seeds that differ reaches far, and a mean of mask IoU above 1
does not exist: the part of an interval outside a metric's declared range holds no possible mean, and leaving it out changes
no coverage. P-values, and intervals of differences, are of the uncut numbers.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foresight.compare import Estimate, compute_estimate
from foresight.metrics import METRICS


def cut_to_range(metric: str, ends: ArrayLike) -> NDArray[np.float64]:
    """Interval ends, those outside the range of `metric` replaced by its bound; nan stays nan."""
    return np.clip(np.asarray(ends, dtype=float), METRICS[metric].low, METRICS[metric].high)


def estimate_mean(metric: str, values: Sequence[float]) -> Estimate:
    """As `compute_estimate`, with its interval cut at the range of `metric`."""
    found = compute_estimate(values)
    low, high = map(float, cut_to_range(metric, [found.low, found.high]))
    return Estimate(found.n, found.mean, low, high, found.p)
