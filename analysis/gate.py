"""Whether a study's gate is open: every criterion met by trials of our own, or waived by name.

In: a study, its verdicts and coverage, and the waivers of its criteria. Out: a frame with GATE_COLUMNS, one row per
criterion and one for whatever else keeps the gate closed. A `state` is the criterion's verdict, or `waived`, which opens
the gate and is never a pass.
"""

from collections.abc import Mapping

import pandas as pd

from analysis.gate_reasons import find_reasons
from analysis.load import StudyData
from analysis.waivers import Waiver

GATE_COLUMNS = ("what", "metric", "on", "verdict", "state", "opens", "waived_by", "date", "reason", "sentence", "keys")
OPEN_STATES = ("met", "waived")


def build_gate(
    data: StudyData, verdicts: pd.DataFrame, waivers: Mapping[tuple[str, str], Waiver], status: str
) -> pd.DataFrame:
    """One row per criterion, and one for each other reason why the gate is closed (`what` is then not `criterion`).

    `status` is the study's, of `analysis.assessment`.
    """
    rows = []
    for _, row in verdicts[verdicts["kind"] == "criterion"].iterrows():
        waiver = waivers.get((row["metric"], row["on"]))
        needed = waiver if row["verdict"] != "met" else None
        state = "waived" if needed else row["verdict"]
        found = {
            "what": "criterion",
            "metric": row["metric"],
            "on": row["on"],
            "verdict": row["verdict"],
            "state": state,
        }
        found |= {"opens": state in OPEN_STATES, "waived_by": "", "date": "", "reason": "", "sentence": row["sentence"]}
        found["keys"] = row["keys"]
        if needed:
            found |= {"waived_by": needed.name, "date": needed.date.isoformat(), "reason": needed.reason}
            where = f"{row['metric']} on {row['on']}" if row["on"] else row["metric"]
            found["sentence"] = f"Criterion {where} is {needed.text}. {row['sentence']}"
        rows.append(found)
    for what, sentence, keys in find_reasons(data, verdicts, status):
        empty = dict.fromkeys(("metric", "on", "verdict", "waived_by", "date", "reason"), "")
        rows.append(empty | {"what": what, "state": what, "opens": False, "sentence": sentence, "keys": keys})
    return pd.DataFrame(rows, columns=list(GATE_COLUMNS))


def closed_by(gate: pd.DataFrame) -> list[str]:
    """The sentences of everything that keeps the gate closed; empty for an open one."""
    return gate.loc[~gate["opens"].astype(bool), "sentence"].tolist()


def closed_with_keys(gate: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """As `closed_by`, each sentence with the keys of the trials that it is about."""
    closed = gate[~gate["opens"].astype(bool)]
    return [(row["sentence"], str(row["keys"]).split()) for row in closed.to_dict("records")]


def waived_in(gate: pd.DataFrame) -> list[str]:
    """The sentences of the waivers by which the gate is open, or would be."""
    return gate.loc[gate["state"] == "waived", "sentence"].tolist()


def state_of(gate: pd.DataFrame) -> str:
    """One word for the whole gate: the worst of its rows' states, `not met` before all."""
    order = (
        "not met",
        "simulated",
        "imported",
        "unproven",
        "toy scale",
        "trivial",
        "not converged",
        "ratio alone",
        "not measured",
        "undecided",
        "not complete",
        "no criterion",
        "no hash",
    )
    states = set(gate["state"])
    for state in order:
        if state in states:
            return state
    return "waived" if "waived" in states else "met"
