"""Simplification: per cost, the cheapest arm that is shown to be non-inferior to the best one, and what it saves.

In: a study. Out: a frame with SIMPLIFY_COLUMNS, one row per arm that has every registered seed, best first. An exploration
has its means, differences and savings, and nothing tested: no p-value, interval or state, and nothing that is the cheapest.

The best arm is chosen by the numbers, so a test against it alone would flatter nobody else and forgive chance: it may be
best by luck. An arm therefore counts as non-inferior to the best only if it is shown to be non-inferior to every other arm,
each in a test paired by seed. Its p-value is the largest of these (an intersection-union test, Berger 1982: no correction
for the number of rivals, and whichever arm is truly best is among them, as in Hsu 1984); Holm's correction is over arms.
"""

import math

import numpy as np
import pandas as pd

from analysis.judged import EXPLORATION
from analysis.load import StudyData
from analysis.objectives import COSTS, LATENCY_QUARTILES, SAME_COST, cost_column, latency_quartiles, read_costs
from analysis.rivals import compare_with, judged_values, rank_arms
from analysis.same_work import TIMES, compute_time_noise, does_same_work, group_same_work, widen_saving
from analysis.wording import count, decimals_of, interval, metric_phrase, number, p_phrase, whole_percent
from foresight.compare import compute_estimate, compute_holm

SIMPLIFY_COLUMNS = (
    "arm", "metric", "n_seeds", "seeds", "n_test", "quality", "is_best", "difference", "low", "high", "rival", "p", "p_holm",
    "margin", "state", "cheapest_in", *(f"saved_{cost}" for cost in COSTS), *(f"saved_{cost}_{end}" for cost in COSTS for end in
    ("low", "high")), *COSTS, "keys",
)  # fmt: skip
BEST, SHOWN, NOT_SHOWN = "best mean", "non-inferior", "not shown"
MOST_ARMS = 100  # every pair of arms is compared


def build_simplification(data: StudyData) -> pd.DataFrame:
    """SIMPLIFY_COLUMNS; `difference` is the arm minus the best, over the registered seeds, with a 95 % interval that holds
    whichever arm has the best mean (`analysis.rivals`).

    `saved_<cost>` is 1 - arm / best, taken seed by seed; it has an interval where the cost differs between seeds, and for
    latency, measured once per arm, what the quartiles of both allow. That of a time is at least as wide as times of the
    same work differ, and holds 0 between two arms that do it (`analysis.same_work`). `cheapest_in` names the costs in
    which no other non-inferior arm is cheaper and the best arm is dearer by over 5 %, beyond that interval.
    Empty where fewer than two arms have every registered seed, and for more than MOST_ARMS arms.
    """
    values = judged_values(data)
    means = rank_arms(data, values)
    if not 1 < len(means) <= MOST_ARMS:
        return pd.DataFrame(columns=list(SIMPLIFY_COLUMNS))
    judged, best, costs = [str(arm) for arm in means.index], str(means.index[0]), read_costs(data)
    noises = {time: compute_time_noise(data, time, costs[time]) for time in TIMES}
    same = {time: group_same_work(data, time) for time in TIMES}
    against = {arm: compare_with(data, values, arm, len(data.arms)) for arm in judged}
    rows = []
    for arm in judged:
        rivals = {rival: float(against[rival]["p_noninferior"][arm]) for rival in judged if rival != arm}
        rival = max(rivals, key=lambda name: rivals[name])
        row = {
            "arm": arm, "metric": data.claim.primary, "n_seeds": len(data.registered_seeds),
            "seeds": " ".join(map(str, data.registered_seeds)), "n_test": data.n_tested, "quality": means[arm],
            "is_best": arm == best, "rival": rival, "p": rivals[rival], "margin": data.claim.margin,
            "keys": data.keys_at((arm, best), data.registered_seeds),
        }  # fmt: skip
        if arm != best:
            row |= {name: against[best][name][arm] for name in ("difference", "low", "high")}
        saved = _savings(data, arm, best)
        for time in TIMES if arm != best else ():
            share, low, high = (saved.get(f"saved_{time}{end}", math.nan) for end in ("", "_low", "_high"))
            low, high = widen_saving(share, low, high, noises[time], does_same_work(same[time], arm, best))
            saved |= {f"saved_{time}_low": low, f"saved_{time}_high": high}
        rows.append(row | saved | {cost: costs[cost][arm] for cost in COSTS})
    frame = pd.DataFrame(rows, columns=list(SIMPLIFY_COLUMNS))
    if data.claim.exploratory:
        frame[["p", "p_holm", "low", "high"]] = math.nan
        return frame.assign(rival="", cheapest_in="", state=EXPLORATION)
    frame["p_holm"] = compute_holm(frame["p"].tolist(), len(data.arms))
    shown = frame["p_holm"] < data.claim.alpha
    frame["state"] = [
        BEST if is_best else SHOWN if ok else NOT_SHOWN for is_best, ok in zip(frame["is_best"], shown, strict=True)
    ]
    frame["cheapest_in"] = _cheapest_in(frame)
    return frame


def describe_simplification(frame: pd.DataFrame) -> list[str]:
    """What may be simplified without losing quality, one sentence per cost, from the frame alone."""
    if frame.empty:
        return []
    best, metric = frame[frame["is_best"]].iloc[0], frame["metric"].iloc[0]
    decimals, margin = decimals_of(metric), frame["margin"].iloc[0]
    basis = f"{count(best['n_seeds'], 'paired seed')}, {len(frame)} arms"
    n_best = int((frame["quality"] == best["quality"]).sum())
    whose = f"{best['arm']} has" if n_best == 1 else f"{n_best} arms share"
    sentences = [f"{whose} the best mean {metric_phrase(metric)}, {number(best['quality'], decimals)} ({basis})."]
    if n_best > 1:
        sentences[0] += f" {best['arm']}, the first of them in the plan, stands for them."
    if best["state"] == EXPLORATION:
        return [*sentences, "An exploration: nothing is tested, so no arm is shown to be non-inferior to it, or worse."]
    for cost, (_, phrase) in COSTS.items():
        known = frame[frame[cost].notna()]
        if len(known) < len(frame) or known[cost].max() <= known[cost].min() * (1 + SAME_COST):
            continue
        cheaper = frame[_is_cheaper(frame, cost)]
        chosen = frame[frame["cheapest_in"].str.split().map(lambda names, cost=cost: cost in names)]
        if cheaper.empty:
            sentences.append(f"In {phrase} no arm is surely cheaper than it by more than {whole_percent(SAME_COST)}.")
        elif chosen.empty:
            sentences.append(
                f"In {phrase} {_none_of(len(cheaper))} to be non-inferior to the best at a margin of {margin:g}."
            )
        for _, row in chosen.iterrows():
            low, high = row[f"saved_{cost}_low"], row[f"saved_{cost}_high"]
            range_ = "" if math.isnan(low) else f" [{whole_percent(low)}, {whole_percent(high)}]"
            saves = f"{whole_percent(row[f'saved_{cost}'])}{range_} of the {phrase}"
            shown = f"{number(row['difference'], decimals)} {interval(row['low'], row['high'], decimals)}".strip()
            sentences.append(
                f"{row['arm']} saves {saves} and is non-inferior to the best arm at a margin of {margin:g} (adjusted p "
                f"{p_phrase(row['p_holm'])}; {metric_phrase(metric)} differs by {shown}, an interval that holds whichever arm "
                "has the best mean)."
            )
    return sentences


def _none_of(n_cheaper: int) -> str:
    return "the one cheaper arm is not shown" if n_cheaper == 1 else f"none of the {n_cheaper} cheaper arms is shown"


def _savings(data: StudyData, arm: str, best: str) -> dict[str, float]:
    saved: dict[str, float] = {}
    quartiles = latency_quartiles(data).dropna()
    for cost in COSTS:
        mine, theirs = (_cost_by_seed(data, name, cost) for name in (arm, best))
        ratio = (1 - mine / theirs[theirs > 0]).dropna()
        found = compute_estimate(ratio.tolist(), scale=1.0)
        saved[f"saved_{cost}"] = found.mean
        if found.low < found.high:  # else it is the same at every seed, and no interval says more
            saved |= {f"saved_{cost}_low": found.low, f"saved_{cost}_high": found.high}
        elif cost == "latency_ms" and len(ratio) and arm != best and {arm, best} <= set(quartiles.index):
            low, high = (quartiles[name] for name in LATENCY_QUARTILES)
            saved["saved_latency_ms_low"] = 1 - high[arm] / low[best]
            saved["saved_latency_ms_high"] = 1 - low[arm] / high[best]
    return saved


def _is_cheaper(frame: pd.DataFrame, cost: str) -> pd.Series:
    """Which arms are cheaper than the best one by more than SAME_COST, and surely cheaper."""
    is_sure = ~(frame[f"saved_{cost}_low"].astype(float) <= 0)
    return (frame[f"saved_{cost}"].astype(float) > SAME_COST) & is_sure


def _cost_by_seed(data: StudyData, arm: str, cost: str) -> pd.Series:
    rows = data.registered[data.registered["arm"] == arm]
    return cost_column(data, rows, cost).set_axis(rows["seed"])


def _cheapest_in(frame: pd.DataFrame) -> list[str]:
    found: list[list[str]] = [[] for _ in range(len(frame))]
    for cost in COSTS:
        is_candidate = (frame["state"] == SHOWN) & _is_cheaper(frame, cost)
        if frame[cost].notna().all() and is_candidate.any():
            found[int(np.argmin(frame[cost].where(is_candidate, np.inf)))].append(cost)
    return [" ".join(costs) for costs in found]
