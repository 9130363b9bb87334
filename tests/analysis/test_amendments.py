"""A claim that changed after the run began: refused where nothing says so, said in every verdict where an amendment does."""

import json
from dataclasses import replace

import pytest
from study_writer import CLAIM, SWEEP

import analysis
from analysis.amendments import describe_amendments
from analysis.sections import SECTIONS
from foresight.amendment import amend, compute_changes
from foresight.claim import Criterion
from foresight.errors import RequestError

LENIENT = replace(CLAIM, margin=0.05, criteria=(CLAIM.criteria[0], Criterion("lpips", 0.25, 0.40, 0.45)))
REGISTERED = {"claim": CLAIM.to_json(), "claim_hash": CLAIM.hash}


def ran_for(claim):
    return lambda trial, row: row | {"env/claim_hash": claim.hash}


def amended(*reasons: str) -> dict:
    sweep = SWEEP | REGISTERED
    for n, (reason, claim) in enumerate(zip(reasons, (LENIENT, CLAIM), strict=False)):
        sweep = amend(sweep, claim, reason, 10 * (n + 1), has_looks=False)
    return {"amendments": sweep["amendments"]}


def test_every_verdict_and_the_report_say_that_the_claim_was_amended(write_study):
    study = analysis.load(
        write_study(claim=LENIENT, sweep=SWEEP | amended("the trunk was changed."), change_row=ran_for(CLAIM))
    )
    assert all(s.endswith(" The claim was amended after 10 complete trials.") for s in study.verdicts()["sentence"])
    (sentence,) = describe_amendments(study.amendments())
    assert "After 10 complete trials" in sentence
    assert "amended, since the trunk was changed: margin 0.02 -> 0.05; lpips acceptable 0.35 -> 0.4." in sentence
    assert sentence in [caution.text for caution in study.cautions() if caution.kind == "amended"]
    row = study.amendments().iloc[0]
    assert (row["kind"], row["before"], row["after"]) == ("claim", CLAIM.hash, LENIENT.hash)
    section = next(section for section in SECTIONS if section.anchor == "amendments")
    assert set(section.columns) <= set(section.build(study))


def test_two_amendments_are_counted(write_study):
    study = analysis.load(write_study(n_seeds=2, claim=CLAIM, sweep=SWEEP | amended("first", "and back")))
    assert "amended 2 times, the last time after 20 complete trials." in study.verdicts()["sentence"].iloc[0]


def test_a_claim_that_stands_as_registered_says_nothing(complete_study):
    assert complete_study.amendments().empty
    assert not complete_study.verdicts()["sentence"].str.contains("amended").any()


def test_claim_and_hash_rewritten_together_are_caught_by_the_trials(write_study):
    path = write_study(n_seeds=1, change_row=ran_for(CLAIM))
    analysis.load(path)
    sweep = json.loads((path / "sweep.json").read_text())
    sweep |= {"claim": LENIENT.to_json(), "claim_hash": LENIENT.hash}
    (path / "sweep.json").write_text(json.dumps(sweep))
    with pytest.raises(
        RequestError, match=rf"15 trials ran for another claim .* for {CLAIM.hash}\), and no amendment leads"
    ):
        analysis.load(path)


def test_an_amendment_that_leads_elsewhere_is_refused(write_study):
    path = write_study(n_seeds=1, claim=replace(CLAIM, margin=0.3), sweep=SWEEP | amended("why"))
    with pytest.raises(RequestError, match="do not lead to its claim"):
        analysis.load(path)


def test_a_change_of_what_varies_is_said(write_study):
    change = {"made": "2026-11-20T09:00:00+00:00", "n_complete": 1, "added": ["fusion layers 8"], "removed": []}
    study = analysis.load(write_study(n_seeds=2, sweep=SWEEP | {"space_changes": [change]}))
    (sentence,) = describe_amendments(study.amendments())
    assert (
        sentence == "After 1 complete trial (2026-11-20T09:00:00+00:00) what varies was changed: added fusion layers 8."
    )
    assert not study.verdicts()["sentence"].str.contains("amended").any()


def test_changes_name_what_was_added_and_dropped():
    before = replace(CLAIM, criteria=CLAIM.criteria[:1]).to_json()
    after = replace(CLAIM, statement="Other.", criteria=CLAIM.criteria[1:]).to_json()
    changes = compute_changes(before, after)
    assert "statement 'Cross-attention fusion places objects better than pooling does.' -> 'Other.'" in changes
    assert "mask_iou acceptable 0.6 -> none" in changes
    assert "lpips acceptable none -> 0.35" in changes


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reason": "  "}, "gives no reason"),
        ({"reason": None}, "is damaged: its reason is no str"),
        ({"n_complete": "many"}, "is damaged: its n_complete is no int"),
    ],
)
def test_an_amendment_without_its_reason_is_refused(write_study, changed, said):
    path = write_study()
    sweep = json.loads((path / "sweep.json").read_text())
    sweep = amend(sweep, replace(CLAIM, margin=0.5), "more noise than we thought", 3, False)
    sweep["amendments"][0] |= changed
    (path / "sweep.json").write_text(json.dumps(sweep))
    with pytest.raises(RequestError, match=said):
        analysis.load(path)
