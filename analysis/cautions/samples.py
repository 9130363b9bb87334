"""Cautions about the test images behind the numbers: whether they were unseen, how many there are, what they add up to."""

import pandas as pd

from analysis.cautions.caution import Caution, keys_of, listed
from analysis.heldout import heldout_size
from analysis.load import StudyData
from analysis.test_set import TEST
from analysis.wording import count
from foresight.metrics import METRICS

# A mean in single precision over thousands of images ends this close to the mean in double, relative to what is summed.
ROUNDING = 1e-5
MOST_DECIMALS = 6  # a value with fewer was rounded by hand, and is held against k/n to its last digit


def sample_cautions(data: StudyData) -> list[Caution]:
    return [
        *_unproven(data),
        *_without_samples(data),
        *_impossible_shares(data),
        *_fewer_values(data),
        *_other_number(data),
        *_repeated(data),
        *_other_images(data),
        *_other_mean(data),
    ]


def _unproven(data: StudyData) -> list[Caution]:
    """Trials that could have been tested on what they were trained on, as far as the run log shows."""
    found = []
    for unproven in data.unproven:
        text = f"Nothing in the run log proves the {unproven.images} of {count(len(unproven.keys), 'trial')} to be "
        found.append(Caution("unproven", f"{text}unseen in training: {unproven.reason}.", tuple(unproven.keys)))
    return found


def _without_samples(data: StudyData) -> list[Caution]:
    """Trials of a study that keeps its samples whose own are gone: nothing shows what their means are of."""
    kept = set(data.samples["key"])
    trained = data.complete[data.complete["provenance"] == "trained"]
    gone = trained.loc[~trained["key"].isin(kept), "key"].tolist()
    text = f"{count(len(gone), 'complete trial')} without samples.parquet, so nothing shows what the means are of: "
    return [Caution("without_samples", f"{text}{listed(gone)}.", tuple(gone))] if kept and gone else []


def _impossible_shares(data: StudyData) -> list[Caution]:
    """Values of metrics that are shares of the test images, k of n, for which there is no k."""
    found = []
    for metric in [name for name in data.metrics if METRICS[name].is_share]:
        rows = zip(data.complete["arm"], data.complete["data/n_test"], strict=True)
        n_shared = [data.defined_on.get((TEST, arm, metric), n) for arm, n in rows]
        stated = data.complete[["key", f"test/{metric}"]].assign(n=n_shared).dropna()
        values = stated.itertuples(index=False, name=None)
        odd = [(key, value, n) for key, value, n in values if not is_share_of(float(value), int(n))]
        shown = [f"{value:g} in {key} (n = {n:.0f})" for key, value, n in odd]
        tested_on = data.tested_on(metric=metric) if data.n_test else f"the {data.items}"
        if shown:
            text = f"{METRICS[metric].label} is a share of {tested_on}, and no number of them gives "
            found.append(Caution("impossible", f"{text}{listed(shown)}.", tuple(key for key, _, _ in odd)))
    return found


def is_share_of(value: float, n: int) -> bool:
    """Whether some k of n has this value, to the last digit where it was rounded to few."""
    decimals = len(f"{value:.12g}".partition(".")[2])
    tolerance = 0.5 * 10**-decimals if decimals < MOST_DECIMALS else 10**-MOST_DECIMALS
    return abs(round(value * n) / n - value) <= tolerance * (1 + 1e-9)


def _fewer_values(data: StudyData) -> list[Caution]:
    """Metrics that have no value on some rows of a split, so that their means are of fewer than the split has."""
    found = []
    for (split, named, metric), n in data.defined_on.items():
        if named or metric not in METRICS:
            continue
        arms = {arm: of for arm in data.arms if (of := data.defined_on.get((split, arm, metric))) is not None}
        whole = data.tested_on() if split == TEST else f"{heldout_size(data, split)} of the further set {split}"
        each = "" if set(arms.values()) == {n} else f" ({listed(f'{arm}: {of}' for arm, of in arms.items())})"
        where = f"{count(len(arms), 'arm')}{each}" if len(arms) < len(data.arms) or each else "every arm"
        text = f"{METRICS[metric].label} has a value on {n}{' or more' if each else ''} of {whole} in {where}"
        text += ": its mean is of these alone, and says nothing of the others."
        found.append(Caution("fewer_values", text, keys_of(data, arms)))
    return found


def _other_number(data: StudyData) -> list[Caution]:
    """Trials whose samples are not as many as their row says."""
    per_trial = _on_test(data).drop_duplicates("key")
    odd = per_trial[per_trial["n"] != data.n_test]
    if odd.empty or data.n_test is None:
        return []
    counts = ", ".join(f"{n:g} in {count(k, 'trial')}" for n, k in odd["n"].value_counts().items())
    text = f"The rows state {data.n_test} {data.items}, and the samples beside them are {counts}"
    return [Caution("other_number", f"{text}: {listed(odd['key'])}.", tuple(odd["key"]))]


def _repeated(data: StudyData) -> list[Caution]:
    """Test images that stand twice: n is too large and every interval over images too narrow."""
    per_trial = _on_test(data).drop_duplicates("key")
    twice = per_trial[per_trial["n_distinct"] < per_trial["n"]]
    if twice.empty:
        return []
    most = int((twice["n"] - twice["n_distinct"]).max())
    text = f"Up to {most} of the test images are copies of others in {count(len(twice), 'trial')}"
    return [Caution("repeated", f"{text}: {listed(twice['key'])}.", tuple(twice["key"]))]


def _other_images(data: StudyData) -> list[Caution]:
    """Trials whose samples are not the set of images that their row names."""
    per_trial = _on_test(data).drop_duplicates("key").dropna(subset=["set_hash"])
    named = data.complete.set_index("key")
    if "data/train_hash" not in named:  # what trains nothing names no set of images
        return []
    trained = per_trial[per_trial["key"].map(named["data/train_hash"]).notna() & (per_trial["n"] == data.n_test)]
    odd = trained[trained["set_hash"] != trained["key"].map(named["data/test_hash"])]
    text = f"The samples are other images than the row's data/test_hash names in {count(len(odd), 'trial')}"
    return [Caution("other_images", f"{text}: {listed(odd['key'])}.", tuple(odd["key"]))] if len(odd) else []


def _other_mean(data: StudyData) -> list[Caution]:
    """Trials whose value is not what their samples give; where not all samples are kept, nothing can be said."""
    trials = data.complete.set_index("key")
    found = []
    for (split, metric), mine in data.samples.groupby(["split", "metric"], sort=False):
        column, n_column = f"test/{metric}", "data/n_test"
        if split != TEST:
            column, n_column = f"heldout/{split}/{metric}", f"heldout/{split}/n"
        if metric not in METRICS or not {column, n_column} <= set(trials):
            continue
        mine = mine.set_index("key")
        stored = trials[column].astype(float).reindex(mine.index)
        given = mine[METRICS[metric].over_samples]
        scale = mine[["minimum", "maximum"]].abs().max(axis=1)
        is_whole = mine["n"] == trials[n_column].reindex(mine.index)
        off = is_whole & (((stored - given).abs() > ROUNDING * scale) | (stored.notna() & given.isna()))
        if off.any():
            shown = [
                f"{key} states {stored[key]:.6g} for {given[key]:.6g}" for key in off.index[off]
            ]  # nan: of no value
            text = f"The stored {column} is not the {METRICS[metric].over_samples} of its samples: {listed(shown)}."
            found.append(Caution("other_mean", text, tuple(off.index[off])))
    return found


def _on_test(data: StudyData) -> pd.DataFrame:
    return data.samples[data.samples["split"] == TEST]
