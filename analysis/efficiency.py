"""Parameter efficiency: how near a model comes to a larger one with the parameters it really has, and what to doubt.

In: a study and its ablation table. Out: a frame with EFFICIENCY_COLUMNS: every arm against the claim's reference, then
every pair of sizes on a capacity axis; empty where there is neither, or no LPIPS was measured. Ratios are taken seed by
seed, so the interval respects pairing; of published numbers `sizes` and `pairing` say what nobody here counted or paired.
The ratio alone says little: a reference that was trained badly makes every arm look efficient, so each row carries warnings
made from the stored numbers.
"""

import math

import pandas as pd

from analysis.capacity import find_capacity_axes
from analysis.convergence import describe_unconverged
from analysis.load import StudyData
from analysis.mean_interval import estimate_mean
from analysis.objectives import SAME_COST, read_costs
from analysis.relative import FORMULAS, compute_param_efficiency, efficiency_by_seed
from analysis.wording import decimals_of, metric_phrase, number, quantity, whole_percent
from foresight.metrics import METRICS, RELATIVE_METRICS

EFFICIENCY_COLUMNS = (
    "basis", "arm", "metric", "reference", "params_trained", "reference_params", "sizes", "pairing", "n_seeds", "seeds", "n_test",
    "efficiency", "low", "high", "warnings", "keys",
)  # fmt: skip
CLAIMED, CAPACITY = "claim", "capacity"  # a row of the claim's reference; one of a pair of sizes
COUNTED, PUBLISHED = "counted", "published"  # where parameters are from
BY_SEED, WITHOUT_SEED = "by seed", "published without a seed"  # how the values of a ratio belong together
LABEL_ALLOWANCE = 0.05  # of the label: a size may be this far off before it is named
PARITY = 1.0


def build_efficiency(data: StudyData, table: pd.DataFrame) -> pd.DataFrame:
    """One row per arm but the reference and metric, then one per pair of sizes; over the registered seeds that both have."""
    claimed = [(CLAIMED, arm, data.claim.reference) for arm in data.arms if arm != data.claim.reference]
    pairs = claimed if data.claim.reference else []
    named = {frozenset(pair[1:]) for pair in pairs}
    for axis in find_capacity_axes(data):
        new = [pair for pair in axis.pairs() if frozenset(pair) not in named]
        pairs += [(CAPACITY, *pair) for pair in new]
        named |= set(map(frozenset, new))
    params = read_costs(data)["params_trained"]
    imported = set(data.complete.loc[data.complete["provenance"] == "imported", "arm"])
    pairing = WITHOUT_SEED if data.sweep.get("imported", {}).get("without_seed") else BY_SEED
    rows = []
    for metric in (name for name, formula in FORMULAS.items() if formula is compute_param_efficiency):
        source = METRICS[metric].compares
        for basis, arm, reference in pairs if source in data.registered else []:
            values = efficiency_by_seed(data.registered, arm, reference, source)
            if values.empty:
                continue
            found = estimate_mean(metric, values.tolist())
            row = {
                "basis": basis, "arm": arm, "metric": metric, "reference": reference,
                "params_trained": params.get(arm), "reference_params": params.get(reference),
                "sizes": PUBLISHED if imported & {arm, reference} else COUNTED, "pairing": pairing,
                "n_seeds": found.n, "seeds": " ".join(map(str, values.index)),
                "n_test": data.n_test_of(metric=source.removeprefix("test/")),
                "efficiency": found.mean, "low": found.low, "high": found.high,
                "keys": data.keys_at((arm, reference), values.index),
            }  # fmt: skip
            rows.append(row | {"warnings": " ".join(_warnings(data, table, row))})
    efficiency = pd.DataFrame(rows, columns=list(EFFICIENCY_COLUMNS))
    for name in ("params_trained", "reference_params", "n_seeds"):
        efficiency[name] = efficiency[name].astype(float).round().astype("Int64")
    return efficiency


def describe_efficiency(efficiency: pd.DataFrame) -> list[str]:
    """What the number means, before it is read, and how many pairs are to be doubted."""
    is_seedless = (efficiency["pairing"] == WITHOUT_SEED).any()
    paired = "of values published without a seed, and so not paired" if is_seedless else "paired by seed"
    is_published = (efficiency["sizes"] == PUBLISHED).any()
    sizes = "as they were published, and nobody here counted them" if is_published else "measured, not read off a label"
    said = [
        f"1 − (LPIPS of the arm − LPIPS of the reference) / LPIPS of the reference, {paired}: 1 is parity, more is nearer "
        f"to the targets than the reference. Parameters are {sizes}. A reference that was trained badly makes every arm look "
        "efficient."
    ]
    if (efficiency["basis"] == CAPACITY).any():
        said.append(
            f"Sizes within {whole_percent(SAME_COST)} of each other count as one, and two arms of one size are no pair."
        )
    doubted = int((efficiency["warnings"] != "").sum())
    if doubted:
        said.append(f"Pairs with a warning: {doubted} of {len(efficiency)}.")
    return said


def _warnings(data: StudyData, table: pd.DataFrame, row: dict[str, object]) -> list[str]:
    arm, reference = str(row["arm"]), str(row["reference"])
    size, reference_size = row["params_trained"] or float("nan"), row["reference_params"] or float("nan")
    found = []
    unknown = [name for name, n in ((arm, size), (reference, reference_size)) if math.isnan(n)]  # type: ignore[arg-type]
    if row["efficiency"] > PARITY and unknown:  # type: ignore[operator]
        found.append(
            f"Efficiency {number(row['efficiency'])} is above 1 and the size of {' and of '.join(unknown)} is not known: if the "  # type: ignore[arg-type]
            "reference is the larger, it may be under-trained."
        )
    elif row["efficiency"] > PARITY and reference_size > size:  # type: ignore[operator]
        sizes = f"{quantity(reference_size)} parameters against {quantity(size)}"  # type: ignore[arg-type]
        found.append(
            f"Efficiency {number(row['efficiency'])} is above 1 although the reference is the larger ({sizes}): "  # type: ignore[arg-type]
            "the reference may be under-trained."
        )
    compared = METRICS[str(row["metric"])].compares.removeprefix("test/")
    unconverged = describe_unconverged(data, reference, compared)
    found += [unconverged] if unconverged else []
    found += [text for name in (arm, reference) for text in _off_its_label(data, name)]
    return found + _absolute_failures(data, table, row)


def _off_its_label(data: StudyData, arm: str) -> list[str]:
    mine = data.registered[data.registered["arm"] == arm]
    if "cost/budget_params" not in mine or mine["cost/budget_params"].isna().all():
        return []
    measured = float(mine["cost/params_trained"].astype(float).mean())
    label = float(mine["cost/budget_params"].astype(float).mean())
    off = measured / label - 1
    said = (
        f"{arm} has {quantity(measured)} trained parameters, {whole_percent(abs(off))} {'more' if off > 0 else 'fewer'}"
    )
    return [f"{said} than its label of {quantity(label)}."] if abs(off) > LABEL_ALLOWANCE else []


def _absolute_failures(data: StudyData, table: pd.DataFrame, row: dict[str, object]) -> list[str]:
    """Criteria on plain metrics of the test split that the arm's mean misses although its efficiency passes."""
    plain = [c for c in data.claim.criteria if not c.on]
    limits = {c.metric: c.acceptable for c in plain}
    if row["efficiency"] < limits.get(str(row["metric"]), PARITY):  # type: ignore[operator]
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
