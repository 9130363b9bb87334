"""The whole space of E-P2.5 once more, to be searched for what quality costs in parameters and in milliseconds."""

from foresight.claim import Claim
from search_spaces.p2_search import space

__all__ = ["CLAIM", "space"]

CLAIM = Claim(
    statement="An exploration of what a hybrid encoder's quality costs: what it finds is a proposal for a study, and no finding.",
    primary="mask_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    exploratory=True,
)
