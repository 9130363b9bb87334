"""Adapters of every size and architecture, to be searched for what quality costs in parameters and in milliseconds."""

from foresight.claim import Claim
from foresight.config import BUDGET_DIVISOR, TrialConfig
from foresight.dimensions import Choice, FloatRange, IntRange
from foresight.proposal_space import ProposalSpace
from search_spaces import c2_architectures
from search_spaces.c2_search import ARCHITECTURES, RATES

BUDGETS = (2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000, 100_000_000)


def baseline(scale: str) -> TrialConfig:
    """The 10M query adapter of E2.2: the first proposal."""
    return c2_architectures.baseline(scale)


def space(scale: str) -> ProposalSpace:
    """What decides the cost of an adapter, and how it is trained."""
    low, high = RATES[scale]
    return ProposalSpace(
        baseline(scale),
        (
            Choice("adapter.architecture", ARCHITECTURES),
            Choice("adapter.budget_params", tuple(budget // BUDGET_DIVISOR[scale] for budget in BUDGETS)),
            IntRange("adapter.layers", 1, 4),
            IntRange("adapter.queries", 16, 128),
            Choice("dinov2.size", ("B", "L", "G")),
            Choice("vlm.layer", ("8", "14", "final")),
            FloatRange("train.lr", low, high, log=True),
            FloatRange("train.weight_decay", 1e-5, 1e-2, log=True),
            Choice("train.schedule", ("warmup_cosine", "cosine", "constant")),
            FloatRange("train.warmup_frac", 0.0, 0.3, when={"train.schedule": ("warmup_cosine",)}),
        ),
    )


CLAIM = Claim(
    statement="An exploration of what an adapter's quality costs: what it finds is a proposal for a study, and no finding.",
    primary="mask_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    exploratory=True,
)
