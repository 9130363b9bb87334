"""What a study has come to in the words of results.yaml: status, success, confidence, recommendation.

Pure functions of statuses and verdicts, so that the schema recomputes each of them from what the file itself holds.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Literal

from analysis.load import StudyData

# What an arm's registered trials came to, and the whole study's.
ArmStatus = Literal["completed", "in_progress", "skipped", "failed"]
StudyStatus = Literal["not_started", "in_progress", "completed", "blocked", "failed", "pivoted"]
Confidence = Literal["high", "medium", "low"]
Recommendation = Literal["proceed", "pivot", "investigate", "block"]
# What closes a gate whatever the criteria say, each a row of `analysis.gate`.
ClosedBy = Literal[
    "not complete", "imported", "simulated", "unproven", "no hash", "toy scale", "no criterion", "trivial", "not converged",
    "ratio alone",
]  # fmt: skip


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


def compute_success(closed_by: Collection[str], states: Sequence[str]) -> bool | None:
    """Whether every criterion is met; None, which is no verdict, where the gate is closed by anything but its criteria.

    `states` are those of the criteria at the gate: a waived one is not met.
    """
    return None if closed_by else all(state == "met" for state in states)


def compute_confidence(closed_by: Collection[str], verdicts: Sequence[str]) -> Confidence:
    """`high` if every criterion is decided by its interval, `medium` if half of them are, else `low`.

    Whatever closes the gate beside the criteria, such as a toy scale, makes it `low`.
    """
    decided = sum(verdict in ("met", "not met") for verdict in verdicts)
    if closed_by or not verdicts or 2 * decided < len(verdicts):
        return "low"
    return "high" if decided == len(verdicts) else "medium"


def compute_recommendation(closed_by: Collection[str], states: Sequence[str], judged_status: str) -> Recommendation:
    """`block` if the judged arm's trials fail, `investigate` while there is no verdict; else by the criteria at the gate.

    `proceed` exactly if the gate is open: all are met, or waived by name. `pivot` if one is not met by its whole interval,
    since nothing that is still undecided or not measured could then make the claim succeed; `investigate` otherwise.
    """
    if judged_status == "failed":
        return "block"
    if closed_by or not states:
        return "investigate"
    if set(states) <= {"met", "waived"}:
        return "proceed"
    return "pivot" if "not met" in states else "investigate"


def describe_recommendation(recommendation: str, status: str, closed_by: Collection[str], states: Sequence[str]) -> str:
    """Why the recommendation is what it is, by the rule of `compute_recommendation`."""
    if recommendation == "block":
        return "Trials of the judged arm failed, so nothing can be judged until they run."
    because = {
        "simulated": "Numbers that this system did not measure give no verdict.",
        "imported": "Numbers that this system did not measure give no verdict.",
        "not complete": f"The study is {status.replace('_', ' ')}, so there is no verdict yet.",
        "unproven": "Test images that are not proved unseen give no verdict.",
        "no hash": "A claim that is not shown to be older than its trials gives no verdict.",
        "toy scale": "Toy encoders show nothing of pretrained ones, so there is no verdict.",
        "no criterion": "The claim names no criterion, so there is no verdict.",
        "trivial": "What a trivial predictor does as well gives no verdict.",
        "not converged": "An efficiency against a reference that is not shown to have converged gives no verdict.",
        "ratio alone": "A ratio without a limit to what it compares gives no verdict.",
    }
    for reason, sentence in because.items():
        if reason in closed_by:
            return sentence
    counts = ", ".join(f"{n} {state}" for state, n in Counter(states).items())
    return f"Of {len(states)} criteria: {counts}{', which is no pass' if 'waived' in states else ''}."
