"""What a point of a figure says when a reader asks it: its arm, value and interval, and every seed with its trial.

In: a study, or the values behind one point. Out: lines of text, which `figure_style.mark` ties to what is drawn.
"""

import pandas as pd

from analysis.load import StudyData
from analysis.wording import count, decimals_of, interval, metric_phrase, number

MOST_TRIALS = 10  # listed for one point; the tables have all of them


def arm_values(data: StudyData, arm: str, metric: str) -> pd.DataFrame:
    """Seed, value and key of the arm's complete trials at the registered seeds that measured the metric, by seed."""
    trials = data.registered[(data.registered["arm"] == arm) & data.registered[f"test/{metric}"].notna()].sort_values(
        "seed"
    )
    return pd.DataFrame({"seed": trials["seed"], "value": trials[f"test/{metric}"].astype(float), "key": trials["key"]})


def describe_point(
    title: str, metric: str, estimate: tuple[float, float, float], values: pd.DataFrame, *further: str
) -> str:
    """`estimate` is mean, low and high; `values` has one row per seed with `seed`, `value` and `key`."""
    mean, low, high = estimate
    decimals = decimals_of(metric)
    shown = f"{metric_phrase(metric)} {number(mean, decimals)} {interval(low, high, decimals)}".strip()
    return "\n".join([title, f"{shown}, {count(len(values), 'seed')}", *further, *describe_trials(metric, values)])


def describe_trials(metric: str, values: pd.DataFrame) -> list[str]:
    """A line for each seed: its value and the key of its trial."""
    decimals = decimals_of(metric)
    rows = zip(values["seed"], values["value"], values["key"], strict=True)
    lines = [f"seed {seed}: {number(value, decimals)} {key}" for seed, value, key in rows]
    left_out = len(lines) - MOST_TRIALS
    return lines if left_out <= 0 else [*lines[:MOST_TRIALS], f"and {left_out} more"]
