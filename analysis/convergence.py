"""Whether the reference of an efficiency was trained to its end: without that, a ratio says nothing of the smaller model.

In: a study, an arm and the metric that the ratio compares. Out: a sentence that says what is missing, empty for an arm that
is shown to have converged. A trial shows it by having ended by its own criterion or, where its length was fixed, by
validation curves that are flat at their end: of the claim's primary metric, and of the one that the ratio is made of, since
a mask may have settled long before the picture does. Where no epoch validates a metric, the validation loss stands for it:
it is what the training pursued.

Flat is, for the primary metric, no gain above the claim's margin. No other metric has a margin, so there it is no gain above
LATE_GAIN_FRAC of the value: an efficiency moves by about that fraction, and the plan's limits to one lie as far apart.
"""

import pandas as pd

from analysis.load import StudyData
from analysis.wording import count, metric_phrase, whole_percent
from foresight.metrics import METRICS

LAST_FRAC = 0.2  # of the epochs: a training of fixed length gains no more in them than is allowed
LEAST_EPOCHS = 5  # fewer have no such part
LATE_GAIN_FRAC = 0.05  # 0.90, 0.85, 0.80: the plan's limits to an efficiency
LOSS = "loss"
_UNRECORDED = "{} of the reference {} records whether its training had converged."


def describe_unconverged(data: StudyData, arm: str, compared: str) -> str:
    """Why nothing shows that the arm's registered trials had converged in `compared`; empty where all of them did."""
    mine = data.registered[data.registered["arm"] == arm]
    said = pd.Series(index=mine.index, dtype=float)
    if "train/converged" in mine:
        said = mine["train/converged"].astype(float)
    n_open = int((said == 0).sum())
    if n_open:
        return f"The reference {arm} had not converged in {n_open} of {count(int(said.notna().sum()), 'trial')}."
    unended = mine.loc[said.isna(), "key"]
    if mine.empty:
        return _UNRECORDED.format("No trial", arm)
    watched = dict.fromkeys((data.claim.primary, compared)) if len(unended) else ()
    sentences = (_describe_late_gain(data, arm, unended, metric) for metric in watched)
    return next((sentence for sentence in sentences if sentence), "")


def _describe_late_gain(data: StudyData, arm: str, keys: pd.Series, metric: str) -> str:
    """Why the validation of these trials does not show that they had converged in a metric; empty where it does."""
    curves = data.curves[data.curves["key"].isin(keys)] if len(data.curves) else pd.DataFrame()
    is_recorded = f"val/{metric}" in curves and bool(curves[f"val/{metric}"].notna().any())
    is_higher_better = is_recorded and METRICS[metric].direction == "higher"
    bests = _best_before_and_late(curves, f"val/{metric if is_recorded else LOSS}", is_higher_better)
    if len(bests) < len(keys):
        return _UNRECORDED.format("Not every trial" if len(bests) else "No trial", arm)
    allowed: pd.Series | float = LATE_GAIN_FRAC * bests["before"].abs()
    limit = whole_percent(LATE_GAIN_FRAC)
    if is_recorded and metric == data.claim.primary:
        allowed, limit = data.claim.margin, f"the margin of {data.claim.margin:g}"
    n_rising = int((bests["late"] - bests["before"] > allowed).sum())
    if not n_rising:
        return ""
    moved = f"validation {metric_phrase(metric) if is_recorded else LOSS} {'rose' if is_higher_better else 'fell'}"
    when = f"in the last {whole_percent(LAST_FRAC)} of its epochs in {n_rising} of {count(len(bests), 'trial')}"
    return f"The reference {arm} was still improving: {moved} by more than {limit} {when}."


def _best_before_and_late(curves: pd.DataFrame, column: str, higher: bool) -> pd.DataFrame:
    """By key, the best value of the last epochs and of those before them, both signed so that more is better."""
    found = {}
    if column in curves:
        for key, epochs in curves[["key", "epoch", column]].dropna().groupby("key", observed=True):
            values = (1 if higher else -1) * epochs.sort_values("epoch")[column].astype(float)
            n_late = max(1, round(LAST_FRAC * len(values)))
            if len(values) >= LEAST_EPOCHS:
                found[str(key)] = (values.iloc[:-n_late].max(), values.iloc[-n_late:].max())
    return pd.DataFrame.from_dict(found, orient="index", columns=["before", "late"], dtype=float)
