"""What a search proposed, what became of it, and what it suggests: by validation images, on which alone it went.

In: the recorded trials of a study whose design is a search. Out: a frame with PROPOSAL_COLUMNS, then one column per
objective (the mean over a proposal's seeds of what the sampler was told), best first; empty for a declared design. A search
gives no verdict: the best of many is best partly by luck, so what it finds is to be run again.
"""

from typing import Any

import numpy as np
import pandas as pd

from analysis.front import on_front
from analysis.load import StudyData
from analysis.wording import count, metric_phrase, number
from foresight.metrics import METRICS
from foresight.space import BASELINE

# `value` is the first objective's mean, `further` the other ones' as a phrase; `objectives` and `sampler` say what was asked.
PROPOSAL_COLUMNS = (
    "arm", "number", "state", "n_seeds", "epochs_run", "value", "further", "on_front", "change", "objectives", "sampler",
)  # fmt: skip
ENDED = ("failed", "stopped", "complete")  # the first that one of a proposal's trials has is the proposal's state
ORDER = ("complete", "begun", "stopped", "failed")  # `begun`: complete at some of its seeds alone
AGAIN = (
    "To know, run one again: an arm beside the baseline, in a study with a claim of its own, at seeds not used here."
)


def build_proposals(data: StudyData) -> pd.DataFrame:
    """PROPOSAL_COLUMNS and the objectives; `on_front` is of the complete proposals' means, the best one of one objective."""
    if data.search is None:
        return pd.DataFrame(columns=list(PROPOSAL_COLUMNS))
    goals = data.search["objectives"]
    rows = [_row(data, str(arm), trials) for arm, trials in data.trials.groupby("arm", sort=False)]
    frame = pd.DataFrame(rows, columns=[*PROPOSAL_COLUMNS, *(goal["name"] for goal in goals)])
    frame["objectives"] = ", ".join(_phrase(goal) for goal in goals)
    frame["sampler"] = data.search["sampler"]
    points = frame[[goal["name"] for goal in goals]].astype(float)
    judged = ((frame["state"] == "complete") & points.notna().all(axis=1)).to_numpy()
    higher = [goal["direction"] == "higher" for goal in goals]
    frame["on_front"] = False
    if judged.any():
        frame.loc[judged, "on_front"] = on_front(points[judged].to_numpy(), higher)
    order = frame.assign(state=frame["state"].map(ORDER.index), value=frame["value"] * (-1 if higher[0] else 1))
    return frame.loc[order.sort_values(["state", "value", "number"], kind="stable").index].reset_index(drop=True)


def describe_proposals(frame: pd.DataFrame) -> list[str]:
    """What was proposed, what looks best by validation, and why that is no finding."""
    if frame.empty:
        return []
    states = frame["state"].value_counts()
    told = ", ".join(f"{states[name]} {name}" for name in ORDER if name in states)
    sentences = [
        f"An exploration, and no test: {count(len(frame), 'configuration')} ({told}), proposed by {frame['sampler'].iloc[0]} for "
        f"{frame['objectives'].iloc[0]}. No test image chose among them, and no arm has a verdict."
    ]
    complete = frame[frame["state"] == "complete"]
    if len(complete):
        sentences += [
            _best(complete),
            f"Picked among {count(len(complete), 'complete proposal')}, such values flatter. {AGAIN}",
        ]
    if "stopped" in states:
        sentences.append(
            f"{count(states['stopped'], 'proposal')} stopped early, with the values of the epoch that was reached: they stand "
            "below all complete ones, and enter no other table."
        )
    return sentences


def _best(complete: pd.DataFrame) -> str:
    """The complete proposals that look best, which are the first row, or of several objectives the front."""
    if complete["further"].ne("").any():
        return f"On the front of the means: {', '.join(complete.loc[complete['on_front'], 'arm'])}."
    best, own = complete.iloc[0], complete[complete["arm"] == BASELINE]
    change = f" ({best['change']})" if best["change"] else ""
    beside = f"; the baseline has {number(own['value'].iloc[0])}" if len(own) and best["arm"] != BASELINE else ""
    found = f"{number(best['value'])} over {count(best['n_seeds'], 'seed')}{beside}"
    return f"Best by {best['objectives']} is {best['arm']}{change}: {found}."


def _row(data: StudyData, arm: str, trials: pd.DataFrame) -> dict[str, Any]:
    """One proposal. Its values are over the trials of its state: of a stopped one those that were stopped."""
    assert data.search is not None
    state = next(name for name in ENDED if (trials["status"] == name).any())
    mine = trials[trials["status"] == state]
    values = {}
    for goal in data.search["objectives"]:
        column = mine.get(goal["column"], pd.Series(np.nan, index=mine.index))
        values[goal["name"]] = float(column.astype(float).mean(skipna=False))
    (_, first), *others = values.items()
    return {
        "arm": arm,
        "number": 0 if arm == BASELINE else int(arm.removeprefix("p")),
        "state": "begun" if state == "complete" and len(mine) < data.search["seeds"] else state,
        "n_seeds": len(mine),
        "epochs_run": mine.get("train/epochs_run", pd.Series(dtype=float)).max(),
        "value": first,
        "further": ", ".join(f"{name} {_amount(value)}" for name, value in others),
        "change": _change(data, trials.iloc[0]),
        **values,
    }


def _change(data: StudyData, trial: pd.Series) -> str:
    """How a proposal differs from the baseline: `fusion.layers=6, train.lr=0.0013`."""
    baseline = data.sweep["space"]["baseline"]
    pairs = [(field, trial.get(f"config/{field}")) for field in data.searched_fields]
    pairs = [(field, None if pd.isna(value) else value) for field, value in pairs]
    return ", ".join(f"{field}={_rounded(value)}" for field, value in pairs if value != baseline[field])


def _rounded(value: object) -> str:
    """A number to three digits, whole ones in full: a column with gaps holds those as floats."""
    return f"{value:.{3 if value % 1 else 12}g}" if isinstance(value, float) else str(value)


def _phrase(goal: dict[str, Any]) -> str:
    """`mask IoU on validation images`, `params trained`."""
    name = metric_phrase(goal["name"]) if goal["name"] in METRICS else str(goal["name"]).replace("_", " ")
    return f"{name} on validation images" if goal["column"].startswith("val/") else name


def _amount(value: float) -> str:
    """`50,034`, `39.2`."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
