"""E-P2.5 as a full factorial: every combination of the six factors, 1296 cells, for main effects and interactions."""

from foresight.space import SearchSpace
from search_spaces.p2_ablations import CLAIM, FACTORS, baseline

__all__ = ["CLAIM", "space"]


def space(scale: str) -> SearchSpace:
    """All 1296 combinations."""
    return SearchSpace(baseline(scale), FACTORS, design="factorial")
