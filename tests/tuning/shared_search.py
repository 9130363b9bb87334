"""A search whose trials workers share and a scheduler stops: two proposals, each long enough to be killed in."""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from small_search import SEARCH

from foresight.dimensions import FloatRange
from foresight.proposal_space import ProposalSpace
from foresight.tuning.search import Asha
from foresight.tuning.search_launch import main_search

EPOCHS, FIRST_RUNG = 30, 10


def space(scale: str) -> ProposalSpace:
    baseline = SEARCH.space(scale).baseline.with_fields({"train.epochs": EPOCHS})
    return ProposalSpace(baseline, (FloatRange("train.lr", 1e-4, 1e-2, log=True),))


SHARED = replace(
    SEARCH, name="shared_search", space=space, proposals=2, seeds=1, asha=Asha(first_rung=FIRST_RUNG, reduction=2)
)

if __name__ == "__main__":
    main_search(SHARED)
