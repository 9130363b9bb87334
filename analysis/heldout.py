"""What each arm scores on further sets that nothing was trained on: clips, photographs.

In: the `heldout/<set>/*` columns of a study's complete trials. Out: a frame with HELDOUT_COLUMNS. That none of these
pictures was trained on or validated with was proved by the trial itself, which fails otherwise.
"""

import math

import pandas as pd

from analysis.load import StudyData
from analysis.mean_interval import estimate_mean
from foresight.metrics import METRICS

PREFIX = "heldout/"
HELDOUT_COLUMNS = ("kind", "arm", "set", "metric", "n", "hash", "n_seeds", "mean", "low", "high")


def build_heldout(data: StudyData) -> pd.DataFrame:
    """One row per set, arm (then trivial predictor) and metric, with its interval over the registered seeds."""
    rows = []
    for name in heldout_sets(data):
        for arm in data.arms:
            trials = data.registered[data.registered["arm"] == arm]
            for metric in METRICS:
                values = heldout_values(trials, name, metric)
                if len(values):
                    estimate = estimate_mean(metric, values.sort_index().tolist())
                    row = {"kind": "arm", "arm": arm, "set": name, "metric": metric, **_identity(trials, name)}
                    limits = {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
                    rows.append(row | {"n_seeds": estimate.n} | limits)
        rows += _trivial_rows(data, name)
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


def heldout_size(trials: pd.DataFrame, name: str) -> int:
    """Pictures or clips of a set."""
    return int(trials[f"{PREFIX}{name}/n"].dropna().iloc[0])


def trivial_scores(data: StudyData, name: str, metric: str) -> dict[str, float]:
    """What each predictor that ignores its input scores on a set."""
    return {str(row["arm"]): float(str(row["mean"])) for row in _trivial_rows(data, name) if row["metric"] == metric}


def _identity(trials: pd.DataFrame, name: str) -> dict[str, object]:
    return {"n": heldout_size(trials, name), "hash": str(trials[f"{PREFIX}{name}/hash"].dropna().iloc[0])}


def _trivial_rows(data: StudyData, name: str) -> list[dict[str, object]]:
    """Predictors that ignore the input have a value on a set, and no seed."""
    rows: list[dict[str, object]] = []
    start = f"{PREFIX}{name}/baseline/"
    for column in (str(column) for column in data.complete if str(column).startswith(start)):
        predictor, metric = column.removeprefix(start).split("/")
        values = data.complete[column].dropna().astype(float)
        if len(values) and metric in METRICS:
            row = {"kind": "trivial", "arm": predictor, "set": name, "metric": metric, "n_seeds": 0}
            limits = {"mean": float(values.median()), "low": math.nan, "high": math.nan}
            rows.append(row | _identity(data.complete, name) | limits)
    return rows
