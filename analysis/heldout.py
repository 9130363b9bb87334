"""What each arm scores on further sets that nothing was trained on: clips, photographs.

In: the `heldout/<set>/*` columns of a study's complete trials. Out: a frame with HELDOUT_COLUMNS, `n` being the pictures
or clips of `n_set` on which the metric has a value. That none of them was trained on or validated with was proved by the
trial itself, which fails otherwise, and is proved again from the run log by `analysis.unseen`.
"""

import math

import pandas as pd

from analysis.load import StudyData
from analysis.mean_interval import estimate_mean
from foresight.metrics import METRICS

PREFIX = "heldout/"
HELDOUT_COLUMNS = ("kind", "arm", "set", "metric", "n", "n_set", "hash", "n_seeds", "mean", "low", "high", "keys")


def build_heldout(data: StudyData) -> pd.DataFrame:
    """One row per set, arm (then trivial predictor) and metric, with its interval over the registered seeds."""
    rows = []
    for name in heldout_sets(data):
        hashed = {"set": name, "hash": str(data.complete[f"{PREFIX}{name}/hash"].dropna().iloc[0])}
        n_set = heldout_size(data, name)
        for arm in data.arms:
            trials = data.registered[data.registered["arm"] == arm]
            for metric in METRICS:
                values = heldout_values(trials, name, metric)
                if len(values):
                    values = values.sort_index()
                    estimate = estimate_mean(metric, values.tolist())
                    row = {"kind": "arm", "arm": arm, "metric": metric, "n_seeds": estimate.n, **hashed}
                    row |= {"keys": data.keys_at((arm,), values.index)}
                    row |= {"n": data.defined_on.get((name, arm, metric), n_set), "n_set": n_set}
                    rows.append(row | {"mean": estimate.mean, "low": estimate.low, "high": estimate.high})
        rows += [row | hashed for row in _trivial_rows(data, name)]
    return pd.DataFrame(rows, columns=list(HELDOUT_COLUMNS))


def heldout_sets(data: StudyData) -> list[str]:
    """Names of the sets that some complete trial was measured on."""
    columns = [str(column) for column in data.complete if str(column).startswith(PREFIX)]
    return list(dict.fromkeys(column.split("/")[1] for column in columns if data.complete[column].notna().any()))


def heldout_values(trials: pd.DataFrame, name: str, metric: str) -> pd.Series:
    """The values of a metric on a set by seed, where it was measured."""
    column = f"{PREFIX}{name}/{metric}"
    if column not in trials:
        return pd.Series(dtype=float)
    measured = trials[trials[column].notna()]
    return pd.Series(measured[column].astype(float).to_numpy(), index=measured["seed"])


def heldout_size(data: StudyData, name: str, arm: str = "", metric: str = "") -> int:
    """Pictures or clips of a set; with a metric those on which it has a value, as `StudyData.n_test_of` of the test rows."""
    size = int(data.complete[f"{PREFIX}{name}/n"].dropna().iloc[0])
    return data.defined_on.get((name, arm, metric), size)


def trivial_scores(data: StudyData, name: str, metric: str) -> dict[str, float]:
    """What each predictor that ignores its input scores on a set."""
    return {str(row["arm"]): float(str(row["mean"])) for row in _trivial_rows(data, name) if row["metric"] == metric}


def _trivial_rows(data: StudyData, name: str) -> list[dict[str, object]]:
    """Predictors that ignore the input have a value on a set, and no seed."""
    rows: list[dict[str, object]] = []
    start = f"{PREFIX}{name}/baseline/"
    for column in (str(column) for column in data.complete if str(column).startswith(start)):
        predictor, metric = column.removeprefix(start).split("/")
        values = data.complete[column].dropna().astype(float)
        if len(values) and metric in METRICS:
            row = {"kind": "trivial", "arm": predictor, "metric": metric, "n_seeds": 0, "keys": ""}
            row |= {"n": heldout_size(data, name, metric=metric), "n_set": heldout_size(data, name)}
            rows.append(row | {"mean": float(values.median()), "low": math.nan, "high": math.nan})
    return rows
