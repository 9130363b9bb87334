"""Whether the reference of an efficiency was trained to its end: without that, a ratio says nothing of the smaller model.

In: a study and an arm. Out: a sentence that says what is missing, empty for an arm that is shown to have converged. A trial
shows it by having ended by its own criterion or, where its length was fixed, by a validation curve that is flat at its end.
"""

import pandas as pd

from analysis.load import StudyData
from analysis.wording import count, metric_phrase, whole_percent
from foresight.metrics import METRICS

LAST_FRAC = 0.2  # of the epochs: a training of fixed length gains no more than the margin in them
LEAST_EPOCHS = 5  # fewer have no such part


def describe_unconverged(data: StudyData, arm: str) -> str:
    """Why nothing shows that the arm's registered trials had converged; empty where all of them did."""
    mine = data.registered[data.registered["arm"] == arm]
    said = pd.Series(index=mine.index, dtype=float)
    if "train/converged" in mine:
        said = mine["train/converged"].astype(float)
    n_open = int((said == 0).sum())
    if n_open:
        return f"The reference {arm} had not converged in {n_open} of {count(int(said.notna().sum()), 'trial')}."
    gains = mine.loc[said.isna(), "key"].map(_late_gains(data))
    if len(mine) == 0 or gains.isna().any():
        return f"No trial of the reference {arm} records whether its training had converged."
    rising = int((gains > data.claim.margin).sum())
    if rising:
        metric = metric_phrase(data.claim.primary)
        moved = "rose" if METRICS[data.claim.primary].direction == "higher" else "fell"
        text = f"The reference {arm} was still improving: validation {metric} {moved} by more than the margin of "
        when = f"in the last {whole_percent(LAST_FRAC)} of its epochs"
        return f"{text}{data.claim.margin:g} {when} in {rising} of {count(len(gains), 'trial')}."
    return ""


def _late_gains(data: StudyData) -> dict[str, float]:
    """Key to how much better the best validation value of the last epochs is than the best before them."""
    column = f"val/{data.claim.primary}"
    if column not in data.curves:
        return {}
    sign = 1 if METRICS[data.claim.primary].direction == "higher" else -1
    found = {}
    for key, epochs in data.curves[["key", "epoch", column]].dropna().groupby("key", observed=True):
        values = sign * epochs.sort_values("epoch")[column].astype(float)
        n_late = max(1, round(LAST_FRAC * len(values)))
        if len(values) >= LEAST_EPOCHS:
            found[str(key)] = float(values.iloc[-n_late:].max() - values.iloc[:-n_late].max())
    return found
