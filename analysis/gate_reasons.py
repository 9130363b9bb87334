"""What closes a gate whatever its criteria come to: numbers that are not ours, not proved, not whole, or that show nothing.

In: a study, its verdicts and its status. Out: one of `assessment.ClosedBy`, a sentence, and the keys of the trials behind it,
with a space between.
"""

from typing import Any

import pandas as pd

from analysis.claim import without_claim
from analysis.convergence import describe_unconverged
from analysis.heldout import trivial_scores
from analysis.load import StudyData
from analysis.relative import FORMULAS, compute_param_efficiency
from analysis.table import predictor_score
from analysis.wording import count, decimals_of, metric_phrase, number
from foresight.metrics import CEILINGS, METRICS

Reason = tuple[str, str, str]


def find_reasons(data: StudyData, verdicts: pd.DataFrame, status: str) -> list[Reason]:
    """What closes a gate whatever the numbers are."""
    found: list[Reason] = []
    if not (verdicts["kind"] == "criterion").any():
        found.append(("no criterion", "The claim names no criterion, so nothing was shown.", ""))
    behind = _trials_behind(data, verdicts)
    copied = _not_our_own(data, behind)
    found += copied + _unproven(data, verdicts, behind)
    if (
        not copied
        and not data.sweep.get("imported")
        and (data.sweep.get("scale") != "full" or data.sweep.get("scale_note"))
    ):
        text = "Toy scale: opens no gate, since toy encoders show nothing of pretrained ones."
        found.append(("toy scale", text, ""))
    found += _trivial(data, verdicts) + _ratios(data, verdicts)
    if status != "completed":
        found.append(("not complete", f"The study is {status.replace('_', ' ')}: {_what_lacks(data)}.", ""))
    if not data.sweep.get("claim_hash"):
        text = "No hash was stored with the claim, so nothing shows that it was fixed before the trials."
        found.append(("no hash", text, ""))
    unclaimed = behind[behind["key"].isin(without_claim(data.complete)["key"])]
    if data.sweep.get("claim_hash") and len(unclaimed):
        text = (
            f"{count(len(unclaimed), 'trial')} of the judged arm, or behind a criterion, without the hash of the claim"
        )
        found.append(
            ("no hash", f"{text}, so nothing shows that it was fixed before them.", " ".join(unclaimed["key"]))
        )
    return found


def _trials_behind(data: StudyData, verdicts: pd.DataFrame) -> pd.DataFrame:
    """The complete trials of the judged arm, and every other one that a criterion rests on."""
    keys = set(" ".join(verdicts.loc[verdicts["kind"] == "criterion", "keys"]).split())
    judged = data.claim.judged_arm(data.arms)
    return data.complete[(data.complete["arm"] == judged) | data.complete["key"].isin(keys)]


def _unproven(data: StudyData, verdicts: pd.DataFrame, behind: pd.DataFrame) -> list[Reason]:
    """One reason for each thing that is missing to prove that the images which criteria are judged on were not trained on."""
    own, found = set(behind.loc[behind["provenance"] == "trained", "key"]), []
    judged_on = {"", *verdicts.loc[verdicts["kind"] == "criterion", "on"]}
    for unproven in data.unproven:
        keys = [key for key in unproven.keys if key in own]
        if keys and unproven.on in judged_on:
            whose = f"{count(len(keys), 'trial')} of the judged arm, or behind a criterion,"
            text = f"Nothing proves the {unproven.images} of {whose} to be unseen in training ({unproven.reason})"
            found.append(("unproven", f"{text}: such numbers open no gate.", " ".join(keys)))
    return found


def _not_our_own(data: StudyData, behind: pd.DataFrame) -> list[Reason]:
    """One reason for each arm and provenance but `trained` of the trials that the criteria rest on."""
    judged = data.claim.judged_arm(data.arms)
    found = []
    for (arm, provenance), trials in behind[behind["provenance"] != "trained"].groupby(["arm", "provenance"]):
        which = "the judged arm" if arm == judged else f"{arm}, on which a criterion rests,"
        were = "was" if len(trials) == 1 else "were"
        text = f"{count(len(trials), 'trial')} of {which} {were} {provenance}, not run by this system"
        found.append((str(provenance), f"{text}: such numbers open no gate.", " ".join(trials["key"])))
    return found


def _what_lacks(data: StudyData) -> str:
    """Why a study is not completed."""
    n_planned, n_claimed = len(data.registered_seeds), data.claim.verdict_seeds
    if n_planned < n_claimed:
        return f"{n_planned} of {count(n_claimed, 'registered seed')} are planned"
    return "not every planned trial is complete"


def _trivial(data: StudyData, verdicts: pd.DataFrame) -> list[Reason]:
    """Criteria that are met, and that a predictor which ignores its input would meet as well.

    Not asked of a metric without a floor: there such a predictor is good by doing nothing, and no model has to beat it.
    """
    found = []
    for row in (row for row in _met(verdicts) if METRICS[row["metric"]].has_floor):
        metric, decimals = row["metric"], decimals_of(row["metric"])
        sign = 1 if METRICS[metric].direction == "higher" else -1
        names = [name for name in data.predictors if name not in CEILINGS]
        scores = trivial_scores(data, row["on"], metric) if row["on"] else {}
        scores = scores if row["on"] else {name: predictor_score(data, name, metric) for name in names}
        for name, score in scores.items():
            if sign * row["estimate"] <= sign * score:
                text = f"{row['name']} has {metric_phrase(metric)} {number(row['estimate'], decimals)}"
                where = f" on {row['on']}" if row["on"] else ""
                text += f"{where}, no better than the trivial predictor {name} ({number(score, decimals)})"
                found.append(("trivial", f"{text}: its criterion shows nothing.", str(row["keys"])))
    return found


def _ratios(data: StudyData, verdicts: pd.DataFrame) -> list[Reason]:
    """What an efficiency that is met lacks to say anything: a reference that had converged, a limit that is no ratio."""
    ratios = [row for row in _met(verdicts) if FORMULAS.get(row["metric"]) is compute_param_efficiency]
    plain = {(c.metric, c.on) for c in data.claim.criteria}
    found = []
    for ratio in ratios:
        source = str(METRICS[ratio["metric"]].compares).removeprefix("test/")
        unconverged = describe_unconverged(data, data.claim.reference, source)
        if unconverged:
            keys = data.keys_at((data.claim.reference,), data.registered_seeds)
            found.append(("not converged", f"{unconverged} An efficiency against it opens no gate.", keys))
        if (source, ratio["on"]) not in plain:
            text = f"The claim asks for {metric_phrase(ratio['metric'])} and sets no limit to {metric_phrase(source)} itself"
            found.append(("ratio alone", f"{text}: two bad models have a good ratio.", ""))
    return found


def _met(verdicts: pd.DataFrame) -> list[dict[str, Any]]:
    """The criteria that are met: any other one keeps the gate closed by itself, or a person has waived it."""
    is_met = (verdicts["kind"] == "criterion") & (verdicts["verdict"] == "met")
    return [{str(name): value for name, value in row.items()} for row in verdicts[is_met].to_dict("records")]
