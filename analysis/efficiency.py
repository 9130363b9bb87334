"""Parameter efficiency: how near an arm comes to the reference with the parameters it really has, and what to doubt.

In: a study and its ablation table. Out: a frame with EFFICIENCY_COLUMNS, empty where the claim names no reference or no
LPIPS was measured. The ratio alone says little: a reference that was trained badly makes every arm look efficient, so each
row carries warnings made from the stored numbers.
"""

import pandas as pd

from analysis.load import StudyData
from analysis.table import arm_costs
from analysis.wording import count, decimals_of, metric_phrase, number, quantity
from foresight.metrics import METRICS, RELATIVE_METRICS

EFFICIENCY_COLUMNS = (
    "arm", "metric", "reference", "params_trained", "reference_params", "n_seeds", "seeds", "n_test",
    "efficiency", "low", "high", "warnings",
)  # fmt: skip
LABEL_ALLOWANCE = 0.05  # of the label: a size may be this far off before it is named
PARITY = 1.0


def build_efficiency(data: StudyData, table: pd.DataFrame) -> pd.DataFrame:
    """One row per arm but the reference and efficiency metric; means and 95 % intervals are those of the table."""
    reference = data.claim.reference
    reference_params = float(arm_costs(data)["params_trained"].get(reference, float("nan")))
    rows = []
    for _, row in table[(table["kind"] == "arm") & table["metric"].str.startswith("param_efficiency")].iterrows():
        if row["arm"] != reference and pd.notna(row["mean"]):
            found = {name: row[name] for name in ("arm", "metric", "params_trained", "n_seeds", "seeds", "n_test")}
            found |= {"reference": reference, "reference_params": reference_params}
            found |= {"efficiency": row["mean"], "low": row["low"], "high": row["high"]}
            rows.append(found | {"warnings": " ".join(_warnings(data, table, row, reference_params))})
    efficiency = pd.DataFrame(rows, columns=list(EFFICIENCY_COLUMNS))
    for name in ("params_trained", "reference_params", "n_seeds"):
        efficiency[name] = efficiency[name].astype("Int64")
    return efficiency


def _warnings(data: StudyData, table: pd.DataFrame, row: pd.Series, reference_params: float) -> list[str]:
    found = []
    if row["mean"] > PARITY and reference_params > row["params_trained"]:
        sizes = f"{quantity(reference_params)} parameters against {quantity(row['params_trained'])}"
        found.append(
            f"Efficiency {number(row['mean'])} is above 1 although the reference is the larger ({sizes}): "
            "the reference may be under-trained."
        )
    found += _not_converged(data)
    found += [text for arm in (row["arm"], data.claim.reference) for text in _off_its_label(data, arm)]
    return found + _absolute_failures(data, table, row)


def _not_converged(data: StudyData) -> list[str]:
    of_reference = data.complete[data.complete["arm"] == data.claim.reference]
    if "train/converged" not in of_reference:
        return []
    converged = of_reference["train/converged"].dropna().astype(float)
    n_open = int((converged == 0).sum())
    said = f"The reference {data.claim.reference} had not converged in {n_open} of {count(len(converged), 'trial')}."
    return [said] if n_open else []


def _off_its_label(data: StudyData, arm: str) -> list[str]:
    mine = data.complete[data.complete["arm"] == arm]
    if "cost/budget_params" not in mine or mine["cost/budget_params"].isna().all():
        return []
    measured = float(mine["cost/params_trained"].astype(float).mean())
    label = float(mine["cost/budget_params"].astype(float).mean())
    off = measured / label - 1
    said = f"{arm} has {quantity(measured)} trained parameters, {abs(off):.0%} {'more' if off > 0 else 'fewer'}"
    return [f"{said} than its label of {quantity(label)}."] if abs(off) > LABEL_ALLOWANCE else []


def _absolute_failures(data: StudyData, table: pd.DataFrame, row: pd.Series) -> list[str]:
    """Criteria on plain metrics that the arm's mean misses although its efficiency passes."""
    limits = {c.metric: c.acceptable for c in data.claim.criteria}
    if row["mean"] < limits.get(row["metric"], PARITY):
        return []
    means = table[(table["arm"] == row["arm"]) & table["mean"].notna()].set_index("metric")["mean"]
    found = []
    for metric, limit in limits.items():
        higher = METRICS[metric].direction == "higher"
        if (
            metric in RELATIVE_METRICS
            or metric not in means
            or (means[metric] >= limit if higher else means[metric] <= limit)
        ):
            continue
        shown = f"{metric_phrase(metric)} {number(means[metric], decimals_of(metric))}"
        found.append(
            f"The ratio passes and {shown} does not: at {'least' if higher else 'most'} {limit:g} is acceptable."
        )
    return found
