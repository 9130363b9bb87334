"""Whether a study's gate is open: every criterion met by trials of our own, or waived by name.

In: a study, its verdicts and coverage, and the waivers of its criteria. Out: a frame with GATE_COLUMNS, one row per
criterion and one for whatever else keeps the gate closed. A `state` is the criterion's verdict, or `waived`, which opens
the gate and is never a pass.
"""

from collections.abc import Mapping

import pandas as pd

from analysis.claim import without_claim
from analysis.load import StudyData
from analysis.waivers import Waiver
from analysis.wording import count

GATE_COLUMNS = ("what", "metric", "on", "verdict", "state", "opens", "waived_by", "date", "reason", "sentence")
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
        if needed:
            found |= {"waived_by": needed.name, "date": needed.date.isoformat(), "reason": needed.reason}
            where = f"{row['metric']} on {row['on']}" if row["on"] else row["metric"]
            found["sentence"] = f"Criterion {where} is {needed.text}. {row['sentence']}"
        rows.append(found)
    for what, sentence in _other_reasons(data, verdicts, status):
        empty = dict.fromkeys(("metric", "on", "verdict", "waived_by", "date", "reason"), "")
        rows.append(empty | {"what": what, "state": what, "opens": False, "sentence": sentence})
    return pd.DataFrame(rows, columns=list(GATE_COLUMNS))


def closed_by(gate: pd.DataFrame) -> list[str]:
    """The sentences of everything that keeps the gate closed; empty for an open one."""
    return gate.loc[~gate["opens"].astype(bool), "sentence"].tolist()


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


def _other_reasons(data: StudyData, verdicts: pd.DataFrame, status: str) -> list[tuple[str, str]]:
    """What closes a gate whatever the numbers are, each with its sentence."""
    found = []
    if not (verdicts["kind"] == "criterion").any():
        found.append(("no criterion", "The claim names no criterion, so nothing was shown."))
    behind = _trials_behind(data, verdicts)
    copied = _not_our_own(data, behind)
    found += copied + _unproven(data, behind)
    if not copied and (data.sweep.get("scale") != "full" or data.sweep.get("scale_note")):
        text = "Toy scale: opens no gate, since toy encoders show nothing of pretrained ones."
        found.append(("toy scale", text))
    if status != "completed":
        found.append(("not complete", f"The study is {status.replace('_', ' ')}: {_what_lacks(data)}."))
    if not data.sweep.get("claim_hash"):
        text = "No hash was stored with the claim, so nothing shows that it was fixed before the trials."
        found.append(("no hash", text))
    unclaimed = behind[behind["key"].isin(without_claim(data.complete)["key"])]
    if data.sweep.get("claim_hash") and len(unclaimed):
        text = (
            f"{count(len(unclaimed), 'trial')} of the judged arm, or behind a criterion, without the hash of the claim"
        )
        found.append(("no hash", f"{text}, so nothing shows that it was fixed before them."))
    return found


def _trials_behind(data: StudyData, verdicts: pd.DataFrame) -> pd.DataFrame:
    """The complete trials of the judged arm, and every other one that a criterion rests on."""
    keys = set(" ".join(verdicts.loc[verdicts["kind"] == "criterion", "keys"]).split())
    judged = data.claim.judged_arm(data.arms)
    return data.complete[(data.complete["arm"] == judged) | data.complete["key"].isin(keys)]


def _unproven(data: StudyData, behind: pd.DataFrame) -> list[tuple[str, str]]:
    """One reason for each thing that is missing to prove that the test images were not trained on."""
    own, found = set(behind.loc[behind["provenance"] == "trained", "key"]), []
    for unproven in data.unproven:
        n = len(own & set(unproven.keys))
        if n:
            text = (
                f"Nothing proves the test images of {count(n, 'trial')} of the judged arm, or behind a criterion, to be"
            )
            found.append(("unproven", f"{text} unseen in training ({unproven.reason}): such numbers open no gate."))
    return found


def _not_our_own(data: StudyData, behind: pd.DataFrame) -> list[tuple[str, str]]:
    """One reason for each arm and provenance but `trained` of the trials that the criteria rest on."""
    judged = data.claim.judged_arm(data.arms)
    found = []
    for (arm, provenance), trials in behind[behind["provenance"] != "trained"].groupby(["arm", "provenance"]):
        which = "the judged arm" if arm == judged else f"{arm}, on which a criterion rests,"
        were = "was" if len(trials) == 1 else "were"
        text = f"{count(len(trials), 'trial')} of {which} {were} {provenance}, not run by this system"
        found.append((str(provenance), f"{text}: such numbers open no gate."))
    return found


def _what_lacks(data: StudyData) -> str:
    """Why a study is not completed."""
    n_planned, n_claimed = len(data.registered_seeds), data.claim.seeds
    if n_planned < n_claimed:
        return f"{n_planned} of {count(n_claimed, 'registered seed')} are planned"
    return "not every planned trial is complete"
