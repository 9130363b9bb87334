"""Alpha spending: published values, levels that add up, and claims that cannot be looked at as they say."""

from dataclasses import replace

import pytest

from foresight.claim import Claim
from foresight.errors import RequestError
from foresight.spending import SPENDING_RULES, Spending, plan_looks

FIVE_EQUAL = (4, 8, 12, 16, 20)
CLAIM = Claim("Smaller is no worse.", "mask_iou", margin=0.02, alpha=0.05, seeds=4)


@pytest.mark.parametrize(
    ("rule", "published"),
    [
        # Reboussin, DeMets, Kim and Lan (2000), five equal looks at 0.025: what is spent by each
        ("obrien_fleming", (0.0000, 0.0004, 0.0038, 0.0122, 0.0250)),
        ("pocock", (0.0074, 0.0131, 0.0177, 0.0216, 0.0250)),
        ("equal", (0.0050, 0.0100, 0.0150, 0.0200, 0.0250)),
    ],
)
def test_what_is_spent_is_what_lan_and_demets_published(rule, published):
    spent = [look.spent for look in plan_looks(Spending(rule, FIVE_EQUAL), alpha=0.025)]
    assert spent == pytest.approx(published, abs=6e-5)


@pytest.mark.parametrize("rule", SPENDING_RULES)
@pytest.mark.parametrize("looks", [(5,), (3, 5, 10, 20), (5, 6, 7), FIVE_EQUAL])
def test_levels_are_positive_and_add_up_to_alpha(rule, looks):
    planned = plan_looks(Spending(rule, looks), alpha=0.05)
    assert [look.n_seeds for look in planned] == list(looks)
    assert [look.number for look in planned] == list(range(1, len(looks) + 1))
    assert all(look.level > 0 for look in planned)
    assert sum(look.level for look in planned) == pytest.approx(0.05, abs=1e-15)
    assert planned[-1].spent == 0.05


def test_a_claim_without_spending_has_one_look_at_alpha():
    (look,) = CLAIM.looks()
    assert (look.number, look.n_seeds, look.level, look.spent) == (1, 4, 0.05, 0.05)


def test_looks_are_part_of_a_claims_hash_and_their_absence_is_not():
    assert "spending" not in CLAIM.to_json()
    hashes = {
        replace(CLAIM, spending=spending).hash
        for spending in (None, Spending("pocock", (4, 8)), Spending("equal", (4, 8)), Spending("equal", (4, 9)))
    }
    assert len(hashes) == 4


@pytest.mark.parametrize(
    ("rule", "looks", "said"),
    [
        ("pocok", (4, 8), r"unknown spending rule 'pocok' \(did you mean 'pocock'\?\)"),
        ("pocock", (), "rising numbers of at least 2 seeds, not \\[\\]"),
        ("pocock", (1, 4), "rising numbers"),
        ("pocock", (4, 4), "rising numbers"),
        ("pocock", (4, 8, 6), "rising numbers"),
        ("pocock", (5, 8), "no verdict below 4 seeds, so its first look is there and not at 5"),
    ],
)
def test_looks_that_cannot_be_are_refused_in_a_sentence(rule, looks, said):
    with pytest.raises(RequestError, match=said) as caught:
        replace(CLAIM, spending=Spending(rule, looks)).check()
    assert "\n" not in str(caught.value)
