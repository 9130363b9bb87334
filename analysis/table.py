"""The ablation table: one row per arm and test metric, and one per trivial predictor or ceiling and metric.

In: the complete trials of a study. Out: a frame with TABLE_COLUMNS. Every mean stands with its seeds, its number of
test images and its interval; an arm without a complete trial has a row without numbers, so nothing planned is absent.
"""

import math

import pandas as pd

from analysis.compare import compute_differences, compute_estimate
from analysis.load import StudyData
from foresight.metrics import CEILINGS, METRICS
from foresight.space import BASELINE

TABLE_COLUMNS = (
    "kind", "arm", "factor", "level", "metric", "metric_id", "unit", "direction", "role",
    "n_seeds", "seeds", "n_test", "mean", "low", "high",
    "n_pairs", "pair_seeds", "difference", "difference_low", "difference_high", "standard_error", "degrees", "p", "p_holm",
    "p_noninferior", "p_noninferior_holm", "method", "params_trained", "latency_ms", "train_s", "peak_memory_mb",
    "loss_variance", "convergence_epoch", "keys",
)  # fmt: skip

STATISTIC = ("standard_error", "degrees", "p", "method")
ADJUSTED = ("p_holm", "p_noninferior", "p_noninferior_holm")
# What training an arm took and how it went, where the run log has it.
TRAINING_COLUMNS = {
    "train_s": "cost/train_s",
    "peak_memory_mb": "cost/peak_memory_mb",
    "loss_variance": "train/loss_variance",
    "convergence_epoch": "train/convergence_epoch",
}


def build_table(data: StudyData) -> pd.DataFrame:
    """TABLE_COLUMNS for every arm, the trivial predictors last; adjusted p-values only for the claim's primary metric.

    Means and their 95 % t interval (`low`, `high`, empty with fewer than two) are over all complete seeds, differences
    over the registered ones among `pair_seeds`. TRAINING_COLUMNS are means over trials.
    """
    descriptions = describe_arms(data)
    costs = arm_costs(data)
    rows = []
    for metric in data.metrics:
        values = seed_values(data, metric).sort_values("seed")
        of_arm = dict(tuple(values.groupby("arm")))
        differences = {row["arm"]: row for row in compare_metric(data, metric).to_dict("records")}
        for arm in data.arms:
            mine = of_arm.get(arm, values.iloc[:0])
            estimate = compute_estimate(mine["value"].tolist())
            row = _metric_fields(data, metric) | descriptions[arm] | costs.get(arm, {})
            row |= {"kind": "arm", "arm": arm, "n_seeds": estimate.n, "seeds": _join(mine["seed"])}
            row |= {"mean": estimate.mean, "low": estimate.low, "high": estimate.high, "keys": _join(mine["key"])}
            if arm in differences:
                found = differences[arm]
                row |= {"n_pairs": found["n_pairs"], "pair_seeds": _join(found["pair_seeds"])}
                row |= {name: found[name] for name in ("difference", *STATISTIC, *ADJUSTED)}
                row |= {"difference_low": found["low"], "difference_high": found["high"]}
            rows.append(row)
        rows += [_predictor_row(data, predictor, metric) for predictor in data.predictors]
    table = pd.DataFrame(rows, columns=list(TABLE_COLUMNS))
    table.loc[table["role"] != "primary", list(ADJUSTED)] = math.nan  # one claim, one margin: the primary metric's
    for count in ("n_seeds", "n_pairs", "params_trained"):
        table[count] = table[count].astype("Int64")
    table["order"] = table["kind"].map({"arm": 0, "trivial": 1, "ceiling": 2})
    arms = {arm: i for i, arm in enumerate([*data.arms, *data.predictors])}
    table["arm_order"] = table["arm"].map(arms)
    return table.sort_values(["order", "arm_order"], kind="stable")[list(TABLE_COLUMNS)].reset_index(drop=True)


def seed_values(data: StudyData, metric: str) -> pd.DataFrame:
    """One row per complete trial that measured `metric`: arm, seed, key, factor, value."""
    rows = data.complete[data.complete[f"test/{metric}"].notna()]
    frame = rows[["arm", "seed", "key"]].copy()
    descriptions = describe_arms(data)
    frame["factor"] = [descriptions[arm]["factor"] for arm in frame["arm"]]
    frame["value"] = rows[f"test/{metric}"].astype(float)
    return frame.reset_index(drop=True)


def compare_metric(data: StudyData, metric: str) -> pd.DataFrame:
    """Difference rows of `metric` over the registered seeds, all planned arms but the baseline one family."""
    values = seed_values(data, metric)
    registered = values[values["seed"].isin(data.registered_seeds)]
    n_planned = sum(arm != BASELINE for arm in data.arms)
    higher = METRICS[metric].direction == "higher"
    return compute_differences(registered, higher, data.claim.margin, n_planned, data.claim.seeds)


def describe_arms(data: StudyData) -> dict[str, dict[str, str]]:
    """Arm to its factor and level, from the plan where it is planned."""
    described = {}
    for rows in (data.trials, data.planned):
        for arm, factor, level in zip(rows["arm"], rows["factor"], rows["level"], strict=True):
            described[arm] = {
                "factor": "" if pd.isna(factor) else str(factor),
                "level": "" if pd.isna(level) else str(level),
            }
    return described


def arm_costs(data: StudyData) -> dict[str, dict[str, float]]:
    """Arm to trained parameters and TRAINING_COLUMNS (means over seeds), and latency where measured."""
    costs: dict[str, dict[str, float]] = {}
    for arm, rows in data.complete.groupby("arm", sort=False):
        params = rows["cost/params_trained"].astype(float).mean()
        costs[str(arm)] = {
            "params_trained": float("nan") if pd.isna(params) else round(params),
            **{name: float(rows[c].astype(float).mean()) for name, c in TRAINING_COLUMNS.items() if c in rows},
            "latency_ms": float(data.latency["latency_ms"].get(arm, math.nan)),
        }
    return costs


def predictor_score(data: StudyData, predictor: str, metric: str) -> float:
    """What a trivial predictor scores on the test images; nan where it was not scored. The median over equal copies."""
    column = f"baseline/{predictor}/{metric}"
    return float(data.complete[column].astype(float).median()) if column in data.complete else math.nan


def _predictor_row(data: StudyData, predictor: str, metric: str) -> dict[str, object]:
    # No seed enters a trivial predictor or a ceiling: it has a value on these test images, and no interval.
    row = {
        "kind": "ceiling" if predictor in CEILINGS else "trivial",
        "arm": predictor,
        "factor": "",
        "level": "",
        "mean": predictor_score(data, predictor, metric),
    }
    return _metric_fields(data, metric) | row


def _metric_fields(data: StudyData, metric: str) -> dict[str, object]:
    declared = METRICS[metric]
    role = "primary" if metric == data.claim.primary else "secondary"
    fields = {"metric": metric, "metric_id": declared.id, "unit": declared.unit, "direction": declared.direction}
    return fields | {"role": role, "n_test": data.n_test}


def _join(values: object) -> str:
    return " ".join(str(value) for value in values)  # type: ignore[attr-defined]
