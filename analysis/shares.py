"""What each arm takes from which stream: means over seeds of the `share/*` columns that a study recorded.

In: the trials of a study at the registered seeds. Out: a frame with SHARE_COLUMNS. A share is neither better nor worse, so
it has no verdict and enters no claim.
"""

import numpy as np
import pandas as pd

from analysis.load import StudyData
from foresight.compare import compute_estimate
from foresight.metrics import SHARES

SHARE_COLUMNS = ("arm", "share", "n_seeds", "mean", "low", "high", "n_test", "keys")


def build_shares(data: StudyData) -> pd.DataFrame:
    """One row per arm and recorded share, with its 95 % interval over seeds; no row for an arm that recorded none."""
    rows = []
    for arm in data.arms:
        trials = data.registered[data.registered["arm"] == arm]
        for name in SHARES:
            values = trials.get(f"share/{name}", pd.Series(dtype=float)).dropna().astype(float)
            if len(values):
                found = compute_estimate(values.tolist())
                row = {"arm": arm, "share": name, "n_seeds": found.n, "mean": found.mean}
                row |= {"keys": " ".join(trials.loc[values.index, "key"])}
                low, high = np.clip([found.low, found.high], 0.0, 1.0)  # no mean of shares lies outside
                rows.append(row | {"low": low, "high": high, "n_test": data.n_test})
    return pd.DataFrame(rows, columns=list(SHARE_COLUMNS))
