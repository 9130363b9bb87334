"""Cautions about how arms were trained: not to the end, not as long as declared, not at the size their label says."""

import numpy as np
import pandas as pd

from analysis.cautions.caution import Caution, keys_of, listed
from analysis.load import StudyData
from analysis.wording import count, decimals_of, metric_phrase, number, quantity, whole_percent
from foresight.metrics import METRICS

SIZE_ALLOWANCE = 0.05  # of a declared size: a model may be this far off before it is named


def training_cautions(data: StudyData) -> list[Caution]:
    return [
        *_without_curves(data),
        *_still_improving(data),
        *_cut_short(data),
        *_other_length(data),
        *_broken_curves(data),
        *_off_its_label(data),
        *_several_sizes(data),
    ]


def _without_curves(data: StudyData) -> list[Caution]:
    """Trials of a study that keeps its epochs whose own are gone: what is said of training is said of the others."""
    kept = set(data.curves["key"].unique()) if len(data.curves) else set()
    trained = data.complete[data.complete["provenance"] == "trained"]
    if "train/epochs_run" in trained:
        trained = trained[trained["train/epochs_run"].astype(float) > 0]
    gone = tuple(trained.loc[~trained["key"].isin(kept), "key"])
    text = f"{count(len(gone), 'complete trial')} without epochs.parquet, so what is said of training leaves them out: "
    return [Caution("without_curves", f"{text}{listed(gone)}.", gone)] if kept and gone else []


def _still_improving(data: StudyData) -> list[Caution]:
    """Arms whose median validation metric gained more than the margin in the last epoch: not trained to the end."""
    column = f"val/{data.claim.primary}"
    if column not in data.curves:
        return []
    sign = 1 if METRICS[data.claim.primary].direction == "higher" else -1
    # Trial by trial, as trainings that end by a criterion have as many epochs as they need.
    per_trial = data.curves.sort_values("epoch", kind="stable").groupby(["arm", "seed"], observed=True)
    changes = per_trial[column].diff().groupby([data.curves["arm"], data.curves["seed"]], observed=True).last()
    gains = sign * changes.groupby("arm", observed=True).median()
    over = gains[gains > data.claim.margin]
    named = [
        f"{arm} (by {number(over[arm], decimals_of(data.claim.primary) + 1)})" for arm in data.arms if arm in over.index
    ]
    text = f"Training had not converged: the median validation {metric_phrase(data.claim.primary)} over seeds improved "
    text += f"by more than the margin of {data.claim.margin:g} between the last two epochs in {listed(named)}."
    return [Caution("not_converged", text, keys_of(data, over.index))] if named else []


def _cut_short(data: StudyData) -> list[Caution]:
    """Arms with trials that were to be trained until they converge and reached the most epochs allowed instead."""
    if "train/converged" not in data.complete:
        return []
    rows = data.complete[data.complete["train/converged"].astype(float) == 0]
    named = [f"{arm} ({count(n, 'trial')})" for arm, n in rows["arm"].value_counts(sort=False).items()]
    text = f"Training ended at the most epochs allowed and not by its criterion in {listed(named)}."
    return [Caution("cut_short", text, tuple(rows["key"]))] if named else []


def _other_length(data: StudyData) -> list[Caution]:
    """Trials of a fixed length that were trained for another number of epochs than their config says."""
    if not {"train/epochs_run", "config/train.epochs"} <= set(data.complete):
        return []
    rows = data.complete
    fixed = rows["train/converged"].isna() if "train/converged" in rows else pd.Series(True, index=rows.index)
    ran, declared = rows["train/epochs_run"].astype(float), rows["config/train.epochs"].astype(float)
    if "config/task" in rows and "config/head_train.epochs" in rows:  # such a trial trains its head alone
        declared = declared.mask(rows["config/task"] == "end_to_end", rows["config/head_train.epochs"].astype(float))
    odd = rows[fixed & ran.notna() & declared.notna() & (ran != declared)]
    named = [f"{key} ({ran[i]:.0f} of {declared[i]:.0f})" for i, key in zip(odd.index, odd["key"], strict=True)]
    text = f"Trained for another number of epochs than the config declares: {listed(named)}."
    return [Caution("other_length", text, tuple(odd["key"]))] if named else []


def _broken_curves(data: StudyData) -> list[Caution]:
    """Complete trials with an epoch whose loss or validation is not a number, or infinite."""
    columns = [
        name
        for name in map(str, data.curves)
        if name.startswith(("train/", "val/")) and data.curves[name].dtype.kind == "f"
    ]
    if not columns:
        return []
    # A column that a trial never recorded is missing in all of its epochs, and no break in its curve.
    values = data.curves[columns]
    broken = np.isinf(values.to_numpy()).any(axis=1)
    missing = values.isna()
    if missing.any(axis=None):
        recorded = values.notna().groupby(data.curves["key"], observed=True).transform("any")
        broken |= (missing & recorded).to_numpy().any(axis=1)
    keys = data.curves.loc[broken, "key"].unique()
    text = (
        f"Epochs with a loss or a validation value that is no finite number in {count(len(keys), 'complete trial')}: "
    )
    return [Caution("not_finite", f"{text}{listed(keys)}.", tuple(keys))] if len(keys) else []


def _off_its_label(data: StudyData) -> list[Caution]:
    """Arms whose measured size misses the size they were asked to have."""
    if "cost/budget_params" not in data.complete:
        return []
    sizes = data.complete.groupby("arm", sort=False)[["cost/params_trained", "cost/budget_params"]].mean()
    off = sizes["cost/params_trained"] / sizes["cost/budget_params"] - 1
    arms = off.index[off.abs() > SIZE_ALLOWANCE]
    named = [
        f"{arm} ({quantity(sizes.loc[arm, 'cost/params_trained'])} for {quantity(sizes.loc[arm, 'cost/budget_params'])})"
        for arm in arms
    ]
    text = f"Trained parameters miss the size that was asked for by more than {whole_percent(SIZE_ALLOWANCE)} in {listed(named)}."
    return [Caution("off_label", text, keys_of(data, arms))] if named else []


def _several_sizes(data: StudyData) -> list[Caution]:
    """Arms whose trials have different numbers of trained parameters, so that they are not one configuration."""
    sizes = data.complete.groupby("arm", sort=False)["cost/params_trained"].nunique()
    arms = sizes.index[sizes > 1]
    text = f"Trials of one arm differ in trained parameters, so they are not one model: {listed(arms)}."
    return [Caution("several_sizes", text, keys_of(data, arms))] if len(arms) else []
