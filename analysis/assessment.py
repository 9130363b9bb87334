"""What a study has come to in the words of results.yaml: status, success, confidence, recommendation.

Pure functions of statuses and verdicts, so that the schema recomputes each of them from what the file itself holds.
"""

from collections.abc import Collection, Sequence
from typing import Literal

import pandas as pd

from analysis.load import StudyData

# What an arm's registered trials came to, and the whole study's.
ArmStatus = Literal["completed", "in_progress", "skipped", "failed"]
StudyStatus = Literal["not_started", "in_progress", "completed", "blocked", "failed", "pivoted"]
Confidence = Literal["high", "medium", "low"]
Recommendation = Literal["proceed", "pivot", "investigate", "block"]


def arm_statuses(data: StudyData) -> dict[str, ArmStatus]:
    """Arm to status, from its planned trials at the registered seeds: further seeds change no verdict, so no status.

    A seed that the claim registers and nobody has planned is a trial that each arm still lacks; an exploration registers
    none beyond those it runs.
    """
    planned = data.planned[data.planned["seed"].isin(data.registered_seeds)]
    status_of = dict(zip(data.trials["key"], data.trials["status"], strict=True))
    usable = set(data.complete["key"])
    found: dict[str, list[str]] = {arm: [] for arm in data.arms}
    planned = planned[planned["arm"].isin(found)]
    for arm, key in zip(planned["arm"], planned["key"], strict=True):
        status = status_of.get(key, "missing")
        found[str(arm)].append("missing" if status == "complete" and key not in usable else status)
    n_asked = len(data.registered_seeds) if data.claim.exploratory else data.claim.seeds
    unplanned = ["missing"] * (n_asked - len(data.registered_seeds))
    return {arm: compute_arm_status([*statuses, *unplanned]) for arm, statuses in found.items()}


def compute_arm_status(trials: Sequence[str]) -> ArmStatus:
    """`completed` if all its planned trials are, `failed` if one failed, `skipped` if none was done, else `in_progress`."""
    if trials and all(status == "complete" for status in trials):
        return "completed"
    if "failed" in trials:
        return "failed"
    return "in_progress" if "complete" in trials else "skipped"


def compute_status(arms: Collection[ArmStatus]) -> StudyStatus:
    """The study's status: `in_progress` while an arm waits for trials, then `failed` if one failed, else `completed`."""
    if {"in_progress", "skipped"} & set(arms) or not arms:
        return "in_progress"
    return "failed" if "failed" in arms else "completed"


def study_status(data: StudyData) -> StudyStatus:
    return compute_status(arm_statuses(data).values())


def compute_success(status: str, is_own: bool, verdicts: Sequence[str]) -> bool | None:
    """Whether every criterion is met; None, which is no verdict, unless the study is complete and its trials are our own.

    A claim without criteria has no verdict either. A waived criterion is not met.
    """
    if status != "completed" or not is_own or not verdicts:
        return None
    return all(verdict == "met" for verdict in verdicts)


def compute_confidence(status: str, is_own: bool, verdicts: Sequence[str]) -> Confidence:
    """`high` if every criterion is decided by its interval, `medium` if half of them are, else `low`.

    Numbers that are not our own, and studies that are not complete, are `low`.
    """
    decided = sum(verdict in ("met", "not met") for verdict in verdicts)
    if status != "completed" or not is_own or not verdicts or 2 * decided < len(verdicts):
        return "low"
    return "high" if decided == len(verdicts) else "medium"


def compute_recommendation(status: str, is_own: bool, verdicts: Sequence[str], judged_status: str) -> Recommendation:
    """`block` if the judged arm's trials fail, `investigate` while there is no verdict; else by the criteria.

    `proceed` if all are met; `pivot` if one is not met by its whole interval, since nothing that is still undecided or not
    measured could then make the claim succeed; `investigate` otherwise.
    """
    if judged_status == "failed":
        return "block"
    if compute_success(status, is_own, verdicts) is None:
        return "investigate"
    if all(verdict == "met" for verdict in verdicts):
        return "proceed"
    return "pivot" if "not met" in verdicts else "investigate"


def has_only_own(data: StudyData) -> bool:
    """Whether every complete trial was run by this system."""
    return bool((data.complete["provenance"] == "trained").all())


def criterion_verdicts(verdicts: pd.DataFrame) -> list[str]:
    return [str(verdict) for verdict in verdicts.loc[verdicts["kind"] == "criterion", "verdict"]]
