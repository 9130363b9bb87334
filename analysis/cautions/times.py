"""Cautions about measured times: arms that do the same work and yet differ, so that a difference in time is no saving."""

import pandas as pd

from analysis.cautions.caution import Caution, keys_of, listed
from analysis.load import StudyData
from analysis.objectives import COSTS, LATENCY_QUARTILES, SAME_COST, cost_column
from analysis.same_work import LATENCY, TIMES, compute_time_noise, group_same_work
from analysis.wording import count, interval, number, whole_percent


def time_cautions(data: StudyData) -> list[Caution]:
    """For each time, the arms of equal work whose times differ by more than their own spreads allow."""
    found = []
    for time in TIMES:
        times = _read_times(data, time)
        named = _find_strayed(times, group_same_work(data, time), "ms" if time == LATENCY else "s")
        if not named:
            continue
        noise = compute_time_noise(data, time, times["time"])
        same = "FLOPs, parameters and encoders" if time == LATENCY else "FLOPs, parameters, data and epochs"
        text = f"Arms of equal {same} do the same work, and differ in {COSTS[time][1]} by more than their own spread: "
        text += f"{listed(named)}. Arms are measured one after the other, and a busy minute of the machine does that. So a time "
        text += f"strays by {whole_percent(noise.sd)} from one measurement to the next (sd, df {noise.df}): what an arm saves "
        text += "of it has an interval at least as wide, and arms of the same work save none of each other's."
        found.append(Caution("strayed_time", text, keys_of(data, times.index)))
    return found


def _read_times(data: StudyData, time: str) -> pd.DataFrame:
    """Per arm its `time` and spread, `low` to `high`: quartiles of its repeats, or the least and greatest of its trials."""
    by_arm = cost_column(data, data.registered, time).groupby(data.registered["arm"])
    found = pd.DataFrame({"time": by_arm.mean(), "low": by_arm.min(), "high": by_arm.max()})
    if time == LATENCY and set(LATENCY_QUARTILES) <= set(data.latency):
        for end, name in zip(("low", "high"), LATENCY_QUARTILES, strict=True):
            found[end] = data.latency[name].astype(float).reindex(found.index).fillna(found[end])
    return found.dropna()


def _find_strayed(times: pd.DataFrame, groups: pd.Series, unit: str) -> list[str]:
    """For each group whose fastest and slowest arm have spreads that do not meet, the two with their times."""
    named = []
    for _, arms in groups.groupby(groups, sort=False):
        mine = times.loc[times.index.intersection(arms.index)].sort_values("time", kind="stable")
        if len(mine) < 2:
            continue
        fast, slow = mine.iloc[0], mine.iloc[-1]
        if slow["low"] > fast["high"] and slow["time"] > fast["time"] * (1 + SAME_COST):
            shown = [
                f"{row.name} {number(row['time'], 1)} {unit} {interval(row['low'], row['high'], 1)}"
                for row in (fast, slow)
            ]
            named.append(f"{' and '.join(shown)} (of {count(len(mine), 'arm')})")
    return named
