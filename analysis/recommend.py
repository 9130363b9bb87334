"""The recommended configuration for a stated budget: the best mean quality among the arms that it can pay for.

In: a study and a budget, the most that may be spent on each cost named. Out: a frame with RECOMMENDATION_COLUMNS and one
row, and `recommended.json`, the arm's whole TrialConfig, from which a sweep can start.
"""

import json
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.judged import EXPLORATION, comparable_trials
from analysis.load import StudyData, read_checked
from analysis.objectives import COSTS, read_costs
from analysis.rivals import compare_with, judged_values, rank_arms
from analysis.wording import count, decimals_of, interval, metric_phrase, number
from foresight.errors import RequestError, nearest_name
from foresight.storage.local import atomic_write_bytes

RECOMMENDATION_COLUMNS = (
    "budget", "arm", "key", "metric", "quality", "low", "high", "n_seeds", "seeds", "n_test", "n_affordable", "n_arms",
    "not_told_apart", "state", *COSTS,
)  # fmt: skip
FILE_NAME = "recommended.json"


def read_budget(texts: list[str]) -> dict[str, float]:
    """`params_trained=1e6` as a cost and its limit, of several costs a limit each.

    Raises RequestError for an unknown cost, a limit that is no number, and two limits of one cost.
    """
    budget: dict[str, float] = {}
    for text in texts:
        name, _, limit = text.partition("=")
        if name not in COSTS:
            raise RequestError(f"'{name}' is no cost{nearest_name(name, COSTS)}; a budget limits {', '.join(COSTS)}")
        if name in budget:
            raise RequestError(f"--budget limits '{name}' twice, to {budget[name]:g} and by '{text}'; keep one of them")
        try:
            budget[name] = float(limit)
        except ValueError as error:
            raise RequestError(f"the budget '{text}' sets no limit; write it as {name}=1e6") from error
        if math.isinf(budget[name]):
            raise RequestError(f"the budget '{text}' sets no limit; leave it out, or write it as {name}=1e6")
        if not budget[name] > 0:
            raise RequestError(f"the budget '{text}' pays for nothing; a limit is above 0")
    return budget


def build_recommendation(data: StudyData, table: pd.DataFrame, budget: Mapping[str, float]) -> pd.DataFrame:
    """One row: the arm of the best mean primary metric within the budget; empty without a budget.

    Only arms with every registered seed are weighed. `not_told_apart` names the other affordable arms that the study's own
    test, paired by seed, does not separate from it, adjusted over all pairs of them; nothing separates the arms of an
    exploration, which `state` says. Raises RequestError when the budget pays for no arm, or the arm's trial stored no
    configuration.
    """
    if not budget:
        return pd.DataFrame(columns=list(RECOMMENDATION_COLUMNS))
    costs = read_costs(data)
    values = judged_values(data)
    judged = [arm for arm in data.arms if arm in set(values["arm"])]
    if not judged and comparable_trials(data).empty:
        raise RequestError(
            f"no arm of '{data.name}' is known to be scored on the test images of another, so none can be recommended"
        )
    if not judged:
        raise RequestError(
            f"no arm of '{data.name}' has the {data.claim.verdict_seeds} registered seeds that a recommendation needs"
        )
    for name in budget:
        if costs.loc[judged, name].isna().all():
            raise RequestError(f"the budget limits {name}, which no arm of '{data.name}' has measured")
    affordable = [arm for arm in judged if all(float(costs[name][arm]) <= limit for name, limit in budget.items())]
    written = ", ".join(f"{name}={limit:g}" for name, limit in budget.items())
    if not affordable:
        least = ", ".join(f"{name} {costs.loc[judged, name].min():g}" for name in budget)
        raise RequestError(
            f"the budget {written} pays for no arm of '{data.name}'; the least that one takes is {least}"
        )
    values = values[values["arm"].isin(affordable)]
    best = str(rank_arms(data, values).index[0])
    primary = table[(table["role"] == "primary") & (table["arm"] == best)].iloc[0]
    row: dict[str, Any] = {name: primary[name] for name in ("metric", "low", "high", "n_seeds", "seeds", "n_test")}
    row |= {
        "budget": written,
        "arm": best,
        "quality": primary["mean"],
        "n_affordable": len(affordable),
        "n_arms": len(judged),
    }
    row |= {"key": str(primary["keys"]).split()[0], **{name: float(costs[name][best]) for name in COSTS}}
    if _read_config(data, row["key"]) is None:
        raise RequestError(f"trial {row['key']} has no config.json, so no sweep could start from what is recommended")
    # The best was chosen by the numbers, so any pair might have been looked at.
    row |= {"state": "", "not_told_apart": ", ".join(arm for arm in affordable if arm != best)}
    if data.claim.exploratory:
        row["state"] = EXPLORATION
    elif len(affordable) > 1:
        rivals = compare_with(data, values, best, math.comb(len(affordable), 2))
        row["not_told_apart"] = ", ".join(rivals.index[~(rivals["p_holm"] < data.claim.alpha)])
    return pd.DataFrame([row], columns=list(RECOMMENDATION_COLUMNS))


def describe_recommendation(recommendation: pd.DataFrame) -> list[str]:
    """What is recommended for which budget, and what it is not told apart from, from the frame alone."""
    sentences = []
    for _, row in recommendation.iterrows():
        metric = row["metric"]
        shown = (
            f"{number(row['quality'], decimals_of(metric))} {interval(row['low'], row['high'], decimals_of(metric))}"
        )
        text = f"Within {row['budget']}, {row['arm']} has the best mean {metric_phrase(metric)}, {shown.strip()}, "
        sentences.append(
            f"{text}of {count(row['n_affordable'], 'affordable arm')} (of {row['n_arms']} with every registered seed)."
        )
        if row["state"] == EXPLORATION:
            sentences.append("An exploration: nothing is tested, so it is not told apart from any other arm.")
        elif row["not_told_apart"]:
            sentences.append(f"It is not told apart from {row['not_told_apart']}.")
    return sentences


def write_recommendation(data: StudyData, recommendation: pd.DataFrame, folder: Path) -> Path | None:
    """Writes `recommended.json`, a TrialConfig tree; without a recommendation removes an earlier one and returns None."""
    path = folder / FILE_NAME
    if recommendation.empty:
        path.unlink(missing_ok=True)
        return None
    config = _read_config(data, str(recommendation["key"].iloc[0]))
    atomic_write_bytes(path, json.dumps(config, indent=2, allow_nan=False).encode())
    return path


def _read_config(data: StudyData, key: str) -> dict[str, Any] | None:
    return read_checked(partial(data.log.read_config, key), [data.log.trials_dir / key / "config.json"])
