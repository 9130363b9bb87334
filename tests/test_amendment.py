from dataclasses import replace

import pytest

from foresight.amendment import amend, known_claims, read_amendments, space_changes
from foresight.claim import Claim, Criterion
from foresight.errors import RequestError
from foresight.spending import Spending

CLAIM = Claim("Smaller is no worse.", "mask_iou", 0.02, 0.05, 5, (Criterion("mask_iou", 0.7, 0.6, 0.5),))
WIDER, WIDEST = replace(CLAIM, margin=0.03), replace(CLAIM, margin=0.04)
SWEEP = {"study": "s", "claim": CLAIM.to_json(), "claim_hash": CLAIM.hash, "created": "2026-11-20T08:00:00+00:00"}


def test_an_amendment_keeps_what_was_claimed_and_why_it_changed():
    amended = amend(SWEEP, WIDER, " the margin was mistyped ", 7, False)
    (amendment,) = read_amendments(amended)
    assert (amendment.before, amendment.after) == (CLAIM.to_json(), WIDER.to_json())
    assert (amendment.reason, amendment.n_complete) == ("the margin was mistyped", 7)
    assert (amended["claim"], amended["claim_hash"]) == (WIDER.to_json(), WIDER.hash)
    assert amended["created"] == SWEEP["created"]
    assert "amendments" not in SWEEP


def test_amendments_are_a_chain_and_every_claim_of_it_is_known():
    twice = amend(amend(SWEEP, WIDER, "first", 1, False), WIDEST, "second", 2, False)
    assert [a.reason for a in read_amendments(twice)] == ["first", "second"]
    assert known_claims(twice) == (CLAIM.hash, WIDER.hash, WIDEST.hash)
    assert known_claims(SWEEP) == (CLAIM.hash,)


@pytest.mark.parametrize("torn", ["first", "last", "claim"])
def test_a_chain_with_a_link_missing_is_refused(torn):
    twice = amend(amend(SWEEP, WIDER, "first", 1, False), WIDEST, "second", 2, False)
    if torn == "claim":
        twice["claim_hash"] = CLAIM.hash
    elif torn == "last":
        twice["amendments"] = twice["amendments"][:1]
    else:
        twice["amendments"][0]["after"] = CLAIM.to_json()
    with pytest.raises(RequestError, match="do not lead to its claim"):
        read_amendments(twice)


def test_an_amendment_with_a_part_missing_is_refused():
    with pytest.raises(RequestError, match=r"an amendment in sweep\.json is damaged"):
        read_amendments(SWEEP | {"amendments": [{"reason": "?"}]})


@pytest.mark.parametrize(
    ("claim", "reason", "said"), [(WIDER, " ", "needs its reason"), (CLAIM, "why", "nothing to amend")]
)
def test_an_amendment_of_nothing_or_for_no_reason_is_refused(claim, reason, said):
    with pytest.raises(RequestError, match=said):
        amend(SWEEP, claim, reason, 0, False)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"primary": "lpips"}, "primary"),
        ({"margin": 0.03}, "margin"),
        ({"alpha": 0.1, "seeds": 4, "spending": Spending("equal", (4, 10))}, "alpha, spending"),
        ({"spending": None}, "spending"),
    ],
)
def test_what_recorded_looks_were_judged_by_is_not_amended(changes, named):
    looked = replace(CLAIM, spending=Spending("equal", (5, 10)))
    sweep = SWEEP | {"claim": looked.to_json(), "claim_hash": looked.hash}
    other = replace(looked, **changes)
    with pytest.raises(RequestError, match=f"^looks are recorded .* claim's {named} cannot be amended"):
        amend(sweep, other, "why", 7, True)
    assert amend(sweep, other, "why", 7, False)["claim_hash"] == other.hash
    restated = replace(looked, statement="Smaller is as good.")
    assert amend(sweep, restated, "why", 7, True)["claim_hash"] == restated.hash


def space(levels: list[object], design: str = "one_at_a_time") -> dict:
    return {"design": design, "factors": [{"name": "layers", "levels": levels}]}


def test_levels_that_came_and_went_are_a_change_once_something_is_known():
    (change,) = space_changes(space([2, 4]), space([4, 8], "factorial"), 3)
    assert change["n_complete"] == 3
    assert change["added"] == ["design factorial", "layers 8"]
    assert change["removed"] == ["design one_at_a_time", "layers 2"]
    assert space_changes(space([2, 4]), space([4, 8]), 0) == []
    assert space_changes(space([2, 4]), space([2, 4]), 3) == []
    assert space_changes(None, space([2, 4]), 3) == []
