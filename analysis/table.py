"""The ablation table: one row per arm and test metric, and one per trivial predictor or ceiling and metric.

In: the complete trials of a study. Out: a frame with TABLE_COLUMNS. Every mean stands with its seeds, its number of
test images and its interval; an arm without a complete trial has a row without numbers, so nothing planned is absent.
"""

import math
from typing import Any

import pandas as pd

from analysis.load import StudyData
from analysis.looks import compare_at_looks
from analysis.mean_interval import cut_to_range
from foresight.compare import compute_differences
from foresight.estimates import compute_estimates
from foresight.metrics import CEILINGS, METRICS
from foresight.space import BASELINE

TABLE_COLUMNS = (
    "kind", "arm", "factor", "level", "metric", "metric_id", "unit", "direction", "role",
    "n_seeds", "seeds", "n_test", "mean", "low", "high",
    "n_pairs", "pair_seeds", "difference", "difference_low", "difference_high", "standard_error", "degrees", "p", "p_holm",
    "p_noninferior", "p_noninferior_holm", "method", "params_trained", "latency_ms", "train_s", "peak_memory_mb",
    "loss_variance", "convergence_epoch", "keys",
)  # fmt: skip

ADJUSTED = ("p_holm", "p_noninferior", "p_noninferior_holm")
# What training an arm took and how it went, where the run log has it.
TRAINING_COLUMNS = {
    "train_s": "cost/train_s",
    "peak_memory_mb": "cost/peak_memory_mb",
    "loss_variance": "train/loss_variance",
    "convergence_epoch": "train/convergence_epoch",
}


def build_table(data: StudyData, looks: pd.DataFrame) -> pd.DataFrame:
    """TABLE_COLUMNS for every arm, the trivial predictors last; adjusted p-values only for the claim's primary metric.

    An exploration has no p-values.

    Means and their 95 % t interval (`low`, `high`, empty with fewer than two, cut at the metric's range) are over the
    registered seeds that are complete, and so are TRAINING_COLUMNS; `n_test` counts the test rows on which the metric has a
    value. Differences are over those seeds that both have, `pair_seeds`, or, where the claim has looks, over the seeds of
    each arm's test in `looks`.
    """
    described = pd.DataFrame.from_dict(data.described, orient="index")
    of_arms = pd.DataFrame(index=pd.Index(data.arms, name="arm")).join(described).join(arm_costs(data))
    frames = []
    for metric in data.metrics:
        numbers = of_arms.join(_arm_numbers(data, metric, looks)).reset_index().assign(**_metric_fields(data, metric))
        of_rows = data.is_of_test_rows(metric)
        n_test = [data.n_test_of(arm, metric) if of_rows else None for arm in data.arms]
        frames.append(numbers.assign(n_test=pd.array(n_test, dtype="Int64")))
        predicted = pd.DataFrame([_predictor_row(data, predictor, metric) for predictor in data.predictors])
        frames.append(predicted.assign(**_metric_fields(data, metric)))
    table = pd.concat([frame.reindex(columns=list(TABLE_COLUMNS)) for frame in frames if len(frame)], ignore_index=True)
    table.loc[table["role"] != "primary", list(ADJUSTED)] = math.nan  # one claim, one margin: the primary metric's
    for count in ("n_seeds", "n_pairs", "n_test", "params_trained"):
        table[count] = table[count].astype("Int64")
    order = table["kind"].map({"arm": 0, "trivial": 1, "ceiling": 2})
    arm_order = table["arm"].map({arm: i for i, arm in enumerate([*data.arms, *data.predictors])})
    ranks = pd.DataFrame({"order": order, "arm_order": arm_order})
    return table.loc[ranks.sort_values(["order", "arm_order"], kind="stable").index].reset_index(drop=True)


def _arm_numbers(data: StudyData, metric: str, looks: pd.DataFrame) -> pd.DataFrame:
    """By arm: mean, interval, seeds and keys of every arm, and the difference from the baseline of those that have one."""
    values = seed_values(data, metric)
    by_seed = values.pivot(index="arm", columns="seed", values="value").reindex(data.arms)
    found = compute_estimates(by_seed.to_numpy(dtype=float))
    ordered = values.sort_values("seed", kind="stable").astype({"seed": str})
    seeds, keys = (dict.fromkeys(data.arms, "") | _joined(ordered, name) for name in ("seed", "key"))
    columns = {
        "kind": "arm",
        "n_seeds": found.n,
        "seeds": list(seeds.values()),
        "mean": found.mean,
        "low": cut_to_range(metric, found.low),
        "high": cut_to_range(metric, found.high),
        "keys": list(keys.values()),
    }
    differences = _compare_metric(data, metric, values, looks).drop(columns="factor").set_index("arm")
    differences = differences.rename(columns={"low": "difference_low", "high": "difference_high"})
    if data.claim.exploratory:
        differences[["p", *ADJUSTED]] = math.nan  # nothing is tested: the arms were chosen by what they score
    differences["pair_seeds"] = [" ".join(map(str, pairs)) for pairs in differences["pair_seeds"]]
    return pd.DataFrame(columns, index=by_seed.index).join(differences)


def _joined(rows: pd.DataFrame, column: str) -> dict[str, str]:
    """Arm to the texts of its rows in their order, with a space between them."""
    found: dict[str, list[str]] = {}
    # As Python's own texts: pandas makes an object of each of Arrow's only when it is asked for it, at ten times the price.
    for arm, text in zip(rows["arm"].to_numpy(object), rows[column].to_numpy(object), strict=True):
        found.setdefault(arm, []).append(text)
    return {arm: " ".join(texts) for arm, texts in found.items()}


def seed_values(data: StudyData, metric: str) -> pd.DataFrame:
    """One row per complete trial at a registered seed that measured `metric`: arm, seed, key, factor, value."""
    rows = data.registered[["arm", "seed", "key"]].assign(value=data.registered[f"test/{metric}"].astype(float))
    rows = rows[rows["value"].notna()].reset_index(drop=True)
    return rows.assign(factor=rows["arm"].map({arm: told["factor"] for arm, told in data.described.items()}))


def _compare_metric(data: StudyData, metric: str, values: pd.DataFrame, looks: pd.DataFrame) -> pd.DataFrame:
    """Difference rows of `metric` from its `seed_values`, over the registered seeds; all planned arms are one family.

    Where the claim has looks, the primary metric's are those of each arm's last look. Trials that do not say on which
    images they were scored have no difference.
    """
    registered = values[values["seed"].isin(data.registered_seeds)]
    if len(data.comparable) < len(data.complete):
        registered = registered[registered["key"].isin(data.comparable["key"])]
    n_planned = sum(arm != BASELINE for arm in data.arms)
    higher = METRICS[metric].direction == "higher"
    differences = compute_differences(registered, higher, data.claim.margin, n_planned, data.claim.verdict_seeds)
    if metric == data.claim.primary and data.claim.spending is not None:
        return compare_at_looks(data, differences, looks)
    return differences


def arm_costs(data: StudyData) -> pd.DataFrame:
    """By arm: trained parameters and TRAINING_COLUMNS (means over the registered seeds), latency where measured."""
    columns = {"params_trained": "cost/params_trained", **TRAINING_COLUMNS}
    measured = {name: data.registered[c].astype(float) for name, c in columns.items() if c in data.registered}
    costs = pd.DataFrame(measured).groupby(data.registered["arm"], sort=False).mean()
    costs["params_trained"] = costs["params_trained"].round()
    latency_ms = data.latency["latency_ms"].reindex(costs.index).astype(float)
    if "cost/latency_ms" in data.registered:  # trials that measured their own
        own = data.registered["cost/latency_ms"].astype(float).groupby(data.registered["arm"], sort=False).mean()
        latency_ms = own.reindex(costs.index).fillna(latency_ms)
    return costs.assign(latency_ms=latency_ms)


def predictor_score(data: StudyData, predictor: str, metric: str) -> float:
    """What a trivial predictor scores on the test images; nan where it was not scored. The median over equal copies."""
    column = f"baseline/{predictor}/{metric}"
    return float(data.complete[column].astype(float).median()) if column in data.complete else math.nan


def _predictor_row(data: StudyData, predictor: str, metric: str) -> dict[str, object]:
    # No seed enters a trivial predictor or a ceiling: it has a value on these test images, and no interval.
    return {
        "kind": "ceiling" if predictor in CEILINGS else "trivial",
        "arm": predictor,
        "factor": "",
        "level": "",
        "mean": predictor_score(data, predictor, metric),
    }


def _metric_fields(data: StudyData, metric: str) -> dict[str, Any]:
    declared = METRICS[metric]
    role = "primary" if metric == data.claim.primary else "secondary"
    fields = {"metric": metric, "metric_id": declared.id, "unit": declared.unit, "direction": declared.direction}
    n_test = data.n_test_of(metric=metric) if data.is_of_test_rows(metric) else None
    return fields | {"role": role, "n_test": n_test}
