"""The Pareto front of the arms, and how surely each is on it.

In: a study and the names of two or more objectives. Out: a frame with PARETO_COLUMNS, one row per arm with a mean, best
quality first, and one with FRONT_COLUMNS, one row per set of objectives. `on_front` is of the means. `p_front` and
`p_dominated` are shares of draws of all arms' means at once over the registered seeds (`analysis.resampling`). `state` is
`on the front` in SURE of them or more, if a test also tells the arm apart from each other one; `dominated` where one other
arm, named, is shown to dominate it, corrected for the number of arms that might have been named; else `ambiguous`
(`analysis.front_states`). An arm that is dominated by a hair is then `on the front`, and one that is on the front by a hair
`dominated`, at a rate of 1 - SURE at most; each arm is looked at by itself.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.front import (
    REFERENCE,
    compute_domination_share,
    compute_front_share,
    compute_hypervolume,
    compute_scaling,
    count_rivals,
    find_knee,
    on_front,
)
from analysis.front_states import (
    AMBIGUOUS,
    DOMINATED,
    ON_FRONT,
    SURE,
    compute_p_not_apart,
    compute_p_not_dominated,
    decide_state,
    p_of_not_ahead,
)
from analysis.judged import EXPLORATION, UNKNOWN_IMAGES, why_unjudged
from analysis.load import StudyData
from analysis.objectives import (
    COSTS,
    DEFAULT_OBJECTIVES,
    LATENCY_QUARTILES,
    QUALITY,
    Objectives,
    latency_quartiles,
    read_costs,
    read_objectives,
)
from analysis.resampling import add_spread, draw_means
from analysis.wording import count, interval, metric_phrase, n_range, number, whole_percent

PARETO_COLUMNS = (
    "arm", "metric", "n_seeds", "seeds", "n_test", "quality", "low", "high", *COSTS, *LATENCY_QUARTILES,
    "objectives", "on_front", "is_knee", "p_front", "state", "dominated_by", "p_dominated", "n_rivals", "keys",
)  # fmt: skip
FRONT_COLUMNS = (
    "objectives", "phrases", "left_out", "n_arms", "n_judged", "n_seeds", "n_test", "n_on_front", "hypervolume", "low", "high",
    "reference", "knee", "p_knee",
)  # fmt: skip
UNMEASURED = "no verdict (cost unknown)"  # an objective that a registered trial did not measure
REASONS = {  # why arms have no state, where it is not for want of seeds
    EXPLORATION: "An exploration, which gives no arm a state; it has numbers of",
    UNKNOWN_IMAGES: "Not known to be scored on the same test images, and so neither compared nor on a front",
    UNMEASURED: "Without a cost at every registered seed, and so without a state",
}
DRAWS_FOR_VOLUME, DRAWS_FOR_VOLUME_OF_MANY, MANY_ARMS = 500, 100, 200  # a volume takes longer than a front


def build_pareto(data: StudyData, table: pd.DataFrame, names: Sequence[str] = DEFAULT_OBJECTIVES) -> pd.DataFrame:
    """PARETO_COLUMNS; `quality` is the primary metric with its interval; it and the costs are means over the registered seeds.

    `objectives` names what the front was computed over: an objective enters only if it is known for every arm and differs
    between arms. Raises RequestError for an unknown objective or fewer than two.
    """
    found = read_objectives(data, names)
    costs = read_costs(data)
    rows = table[(table["kind"] == "arm") & (table["role"] == "primary") & table["mean"].notna()].set_index("arm")
    frame = rows.rename(columns={"mean": "quality"}).reset_index()
    frame = frame.drop(columns=[name for name in COSTS if name in frame]).merge(costs, left_on="arm", right_index=True)
    frame = frame.join(latency_quartiles(data), on="arm")
    frame["objectives"] = " ".join(objective.name for objective in found.used)
    front, knee = _front_of_means(found)
    frame["on_front"], frame["is_knee"] = frame["arm"].isin(front), frame["arm"] == knee
    states = _states(data, found)
    for column in ("p_front", "state", "dominated_by", "p_dominated", "n_rivals"):
        frame[column] = [states[arm][column] for arm in frame["arm"]]
    for name in (objective.name for objective in found.used if objective.name not in (QUALITY, *COSTS)):
        frame[name] = frame["arm"].map(found.means[name])
    extra = [name for name in found.means if name not in PARETO_COLUMNS]
    higher = bool((rows["direction"] == "higher").all())
    frame = frame.reindex(columns=[*PARETO_COLUMNS, *extra])
    return frame.sort_values("quality", ascending=not higher, kind="stable").reset_index(drop=True)


def build_fronts(data: StudyData, names: Sequence[str] = DEFAULT_OBJECTIVES) -> pd.DataFrame:
    """FRONT_COLUMNS: the front over all objectives named and, of three or more, over each pair with the first.

    `hypervolume` is the share of the box between the best value of every objective and the reference point that the arms
    dominate, each objective scaled over this study's arms (so no other study's can be set beside it), its interval the
    basic bootstrap's (Davison and Hinkley 1997), and empty where an arm lacks a registered seed. No row where no arm is
    known to be scored on the test images of another.
    """
    if read_objectives(data, names).means.empty:
        return pd.DataFrame(columns=list(FRONT_COLUMNS))
    sets = [tuple(names)]
    if len(names) > 2:
        sets += [(names[0], other) for other in names[1:]]
    rows = [_front_row(data, chosen) for chosen in sets]
    rows = [row for i, row in enumerate(rows) if i == 0 or " " in str(row["objectives"])]
    return pd.DataFrame(rows, columns=list(FRONT_COLUMNS)).drop_duplicates("objectives").reset_index(drop=True)


def describe_pareto(pareto: pd.DataFrame) -> list[str]:
    """Which arms are on the front, how surely, and the knee, from the frame alone."""
    if pareto.empty:
        return []
    primary = metric_phrase(pareto["metric"].iloc[0])
    phrases = {QUALITY: primary} | {name: phrase for name, (_, phrase) in COSTS.items()}
    over = ", ".join(phrases.get(name) or metric_phrase(name) for name in pareto["objectives"].iloc[0].split())
    sentences, is_judged = [], pareto["state"].isin((ON_FRONT, DOMINATED, AMBIGUOUS))
    if over:
        sentences.append(
            f"Objectives: {over}; {n_range([int(n) for n in pareto['n_seeds']], 'seed')} an arm. Numbers are shares of draws of "
            "the means of all arms together"
        )
        sure = f"; sure is what paired tests also show at {whole_percent(1 - SURE)}, each arm by itself."
        sentences[0] += sure if is_judged.any() else "."
        if is_judged.any() and not is_judged.all():
            sentences[0] += f" States are among the {count(int(is_judged.sum()), 'arm')} with every registered seed."
    for state, verb in ((ON_FRONT, "Surely on the front"), (AMBIGUOUS, "Ambiguous"), (DOMINATED, "Surely dominated")):
        rows = pareto[pareto["state"] == state]
        if state == DOMINATED:
            named = [f"{row['arm']} (by {row['dominated_by']}, {row['p_dominated']:.2f})" for _, row in rows.iterrows()]
        else:
            named = [f"{row['arm']} ({row['p_front']:.2f})" for _, row in rows.iterrows()]
        if named:
            sentences.append(f"{verb}: {_listed(named)}.")
    for reason, mine in pareto[~is_judged].groupby(
        pareto["state"].where(pareto["state"].isin(REASONS), ""), sort=False
    ):
        text = REASONS.get(str(reason), "Without the registered seeds, and so without a state")
        sentences.append(f"{text}: {_listed(mine['arm'].tolist())}.")
    for arm in pareto.loc[pareto["is_knee"], "arm"]:
        sentences.append(f"The knee of the front of the means is {arm}.")
    return sentences


def describe_fronts(fronts: pd.DataFrame) -> list[str]:
    """Hypervolume and knee of each set of objectives, and what was left out, from the frame alone."""
    sentences = []
    for _, row in fronts.iterrows():
        shown = f"{number(row['hypervolume'])} {interval(row['low'], row['high'])}".strip()
        knee = f"its knee is {row['knee']}" if row["knee"] else "it has no knee"
        if row["knee"] and not math.isnan(row["p_knee"]):
            knee += f" (in {whole_percent(row['p_knee'])} of the draws)"
        sentences.append(
            f"Over {row['phrases']}, {row['n_on_front']} of {row['n_arms']} arms are on the front of the means; "
            f"hypervolume {shown} with the reference point {row['reference']}; {knee}."
        )
    if (fronts["high"] < fronts["hypervolume"]).any():
        sentences.append(
            "An interval below its hypervolume: arms lie close, and the front of the means has the luckiest of them."
        )
    for left_out in fronts["left_out"].drop_duplicates():
        if left_out:
            sentences.append(f"Left out of the objectives: {left_out}.")
    return sentences


def _states(data: StudyData, found: Objectives) -> dict[str, dict[str, Any]]:
    without = why_unjudged(data)
    none: dict[str, Any] = {"p_front": np.nan, "dominated_by": "", "p_dominated": np.nan, "n_rivals": np.nan}
    states = {arm: none | {"state": without.get(arm, UNMEASURED)} for arm in data.arms}
    if not found.judged:
        return states
    draws = _draw(found)
    p_front = compute_front_share(draws, found.maximise)
    means = found.values.mean(axis=0)
    p_dominated, by = compute_domination_share(
        draws, found.maximise, np.flatnonzero(on_front(means, found.maximise)).tolist()
    )
    n_rivals = count_rivals(draws, found.maximise)
    p_not_apart, likely = np.ones(len(p_front)), np.flatnonzero(p_front >= SURE)
    p_not_apart[likely] = compute_p_not_apart(found.values, found.spread, found.maximise, likely.tolist())
    p_not_dominated = compute_p_not_dominated(found.values, found.spread, found.maximise, by)
    for i, arm in enumerate(found.judged):
        state = without.get(arm) or decide_state(p_front[i], p_not_apart[i], p_not_dominated[i], n_rivals[i])
        states[arm] = {
            "p_front": p_front[i],
            "state": AMBIGUOUS if state == ON_FRONT and _is_open(found, arm) else state,
            "dominated_by": found.judged[by[i]] if by[i] >= 0 else "",
            "p_dominated": p_dominated[i],
            "n_rivals": n_rivals[i],
        }
    return states


def _is_open(found: Objectives, arm: str) -> bool:
    """Whether an arm that lacks seeds may dominate this one: it costs no more in anything, and is not shown to score less."""
    costs, scores = ([o.name for o in found.used if o.is_cost is is_cost] for is_cost in (True, False))
    others = found.means.drop(index=list(found.judged))
    others = others[(others[costs] <= found.means.loc[arm, costs]).all(axis=1)]
    signs = [1.0 if objective.higher else -1.0 for objective in found.used if not objective.is_cost]
    for other in others.index:
        ahead = (found.trials.loc[arm, scores] - found.trials.loc[other, scores]).dropna() * signs
        p = p_of_not_ahead(ahead.to_numpy())
        if p.min(initial=1.0) > (1 - SURE) / max(1, len(scores)):
            return True
    return False


def _front_of_means(found: Objectives) -> tuple[list[str], str | None]:
    """The arms on the front of the means, and its knee."""
    if found.means.empty:
        return [], None
    points, arms = found.means.to_numpy(), [str(arm) for arm in found.means.index]
    knee = find_knee(points, found.maximise)
    return [arms[i] for i in np.flatnonzero(on_front(points, found.maximise))], None if knee is None else arms[knee]


def _draw(found: Objectives, n_draws: int = 0) -> np.ndarray:
    """Draws [n_draws, n_judged, n_objectives] of the judged arms' means."""
    n_seeds, n_arms, n_objectives = found.values.shape
    names = [objective.name for objective in found.used]
    drawn = draw_means(found.values.reshape(n_seeds, -1), "front", *names, n_draws=n_draws)
    drawn = add_spread(drawn, found.spread.ravel(), *names)
    return drawn.reshape(-1, n_arms, n_objectives)


def _front_row(data: StudyData, names: Sequence[str]) -> dict[str, object]:
    found = read_objectives(data, names)
    points, maximise = found.means.to_numpy(), found.maximise
    scaling = compute_scaling(points, maximise)
    volume, knee = compute_hypervolume(points, scaling), find_knee(points, maximise)
    low = high = p_knee = np.nan
    if len(found.judged) == len(points):
        draws = _draw(found, DRAWS_FOR_VOLUME if len(points) <= MANY_ARMS else DRAWS_FOR_VOLUME_OF_MANY)
        low, high = 2 * volume - np.quantile([compute_hypervolume(draw, scaling) for draw in draws], [0.975, 0.025])
        low, high = max(low, 0.0), min(high, 1.0)
        if knee is not None:
            p_knee = float(np.mean([find_knee(draw, maximise) == knee for draw in draws]))
    arms = list(found.means.index)
    logarithmic = [o.phrase for o, is_log in zip(found.used, scaling.is_log, strict=True) if is_log]
    reference = f"at {REFERENCE:g} of each range" + (f", log {' and '.join(logarithmic)}" if logarithmic else "")
    return {
        "objectives": " ".join(o.name for o in found.used), "phrases": " and ".join(o.phrase for o in found.used),
        "left_out": "; ".join(found.left_out), "n_arms": len(arms), "n_judged": len(found.judged),
        "n_seeds": len(found.seeds), "n_test": data.n_tested, "n_on_front": int(on_front(points, maximise).sum()),
        "hypervolume": volume, "low": low, "high": high, "reference": reference,
        "knee": "" if knee is None else arms[knee], "p_knee": p_knee,
    }  # fmt: skip


def _listed(names: list[str], most: int = 8) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
