"""What a study has cost: seconds and GPU-hours of every recorded trial, and money where the reader names a price.

In: the recorded trials, failed and stopped ones included, and what the study took besides: features, the sensitivity check,
latency, memory. Out: a frame with COST_COLUMNS. A GPU-hour is an hour in which a trial's training, or such work, held a GPU;
no run log knows what an hour costs, so money needs a stated price.
"""

import math

import pandas as pd

from analysis.load import StudyData
from analysis.wording import count, duration, number
from foresight.price import SECONDS_PER_HOUR, Price, compute_money
from foresight.side_costs import WORKS, read_side_costs

COST_COLUMNS = (
    "arm", "n_trials", "n_failed", "n_stopped", "n_unmeasured", "train_s", "trial_s", "gpu_s", "gpu_hours",
    "price", "currency", "money",
)  # fmt: skip


def build_cost(data: StudyData, price: Price | None = None) -> pd.DataFrame:
    """One row per arm with a recorded trial; `money` is empty without a price. Sums skip trials that recorded none.

    Further rows have what held GPUs besides trials, its words where an arm's name would be.
    """
    rows = []
    for arm in data.arms:
        trials = data.trials[data.trials["arm"] == arm]
        if trials.empty:
            continue
        gpu_s = _sum(trials, "cost/gpu_s")
        row = {
            "arm": arm, "n_trials": len(trials), "n_failed": int((trials["status"] == "failed").sum()),
            "n_stopped": int((trials["status"] == "stopped").sum()), "n_unmeasured": _count_missing(trials, "cost/gpu_s"),
            "train_s": _sum(trials, "cost/train_s"), "trial_s": _sum(trials, "cost/trial_s"), "gpu_s": gpu_s,
            "gpu_hours": gpu_s / SECONDS_PER_HOUR,
        }  # fmt: skip
        rows.append(row)
    besides = read_side_costs(data.log)
    for work in (work for work in WORKS if work in besides and besides[work].gpu_s):
        counts = {"n_trials": 0, "n_failed": 0, "n_stopped": 0, "n_unmeasured": 0}
        gpu_s = besides[work].gpu_s
        rows.append({"arm": WORKS[work], "gpu_s": gpu_s, "gpu_hours": gpu_s / SECONDS_PER_HOUR} | counts)
    cost = pd.DataFrame(rows, columns=list(COST_COLUMNS))
    if price is None:
        return cost
    money = [compute_money(gpu_s, price.per_gpu_hour) for gpu_s in cost["gpu_s"]]
    return cost.assign(price=price.per_gpu_hour, currency=price.currency, money=money)


def describe_cost(cost: pd.DataFrame) -> list[str]:
    """What all recorded trials took, and at which price."""
    totals = cost[["n_trials", "n_failed", "n_stopped", "n_unmeasured"]].sum().astype(int)
    wasted = [f"{totals[f'n_{name}']} {name}" for name in ("failed", "stopped") if totals[f"n_{name}"]]
    included = f" ({', '.join(wasted)} included)" if wasted else ""
    sentences = [
        f"{count(totals['n_trials'], 'recorded trial')}{included} trained for {duration(_total(cost, 'train_s'))}."
    ]
    if totals["n_unmeasured"]:
        sentences.append(f"{totals['n_unmeasured']} of them recorded no GPU time and are missing in these sums.")
    hours = _total(cost, "gpu_hours")
    if math.isnan(hours) or hours == 0:
        return [*sentences, "No GPU was used." if hours == 0 else "GPU time was not recorded."]
    besides = cost[cost["arm"].isin(WORKS.values())]
    hours_besides = number(besides["gpu_hours"].sum(), 2)
    and_besides = f", and for {hours_besides} of them {' and '.join(besides['arm'])}," if len(besides) else ""
    took = f"They{and_besides} held GPUs for {number(hours, 2)} GPU-hours"
    if cost["money"].isna().all():
        return [*sentences, f"{took}. No price was given, so no money is named (--price '2.10 EUR')."]
    priced = cost[cost["price"].notna()].iloc[0]
    money = f"{number(_total(cost, 'money'), 2)} {priced['currency']}"
    return [
        *sentences,
        f"{took}: {money} at the stated {number(priced['price'], 2)} {priced['currency']} per GPU-hour.",
    ]


def _sum(trials: pd.DataFrame, column: str) -> float:
    """nan where no trial recorded the column, which is not the same as nothing spent."""
    return float(trials[column].astype(float).sum(min_count=1)) if column in trials else math.nan


def _total(cost: pd.DataFrame, column: str) -> float:
    return float(cost[column].astype(float).sum(min_count=1))


def _count_missing(trials: pd.DataFrame, column: str) -> int:
    return int(trials[column].isna().sum()) if column in trials else len(trials)
