"""The whole space of E-P2.5 and how it is trained, to be searched instead of varied one factor at a time.

The six factors of `search_spaces/p2_ablations.py`, where they are numbers over a range, with what that study holds fixed:
heads where the fusion attends, dropout, learning rate, weight decay, schedule, and a warm-up where there is one.
"""

from foresight.claim import Claim
from foresight.config import TrialConfig
from foresight.dimensions import Choice, FloatRange, IntRange
from foresight.proposal_space import ProposalSpace
from search_spaces import p2_ablations

ATTENDING = ("cross_attention", "film", "perceiver")  # every fusion has layers, and all but concat have heads
RATES = {"tiny": (5e-4, 2e-2), "full": (1e-5, 1e-3)}
HEADS = {"tiny": (None, 8), "full": (None, 16)}  # None: 4 at toy width, 8 at full


def baseline(scale: str) -> TrialConfig:
    """That of the ablations: the first proposal."""
    return p2_ablations.baseline(scale)


def space(scale: str) -> ProposalSpace:
    """E-P2.5's factors and the recipe."""
    low, high = RATES[scale]
    return ProposalSpace(
        baseline(scale),
        (
            Choice("fusion.strategy", (*ATTENDING, "concat")),
            IntRange("fusion.layers", 1, 8),
            IntRange("fusion.queries", 16, 128, step=16),
            Choice("fusion.heads", HEADS[scale], when={"fusion.strategy": ATTENDING}),
            FloatRange("fusion.vlm_weight", 0.1, 0.9),
            FloatRange("fusion.dropout", 0.0, 0.3),
            Choice("vlm.layer", ("8", "14", "final")),
            Choice("dinov2.size", ("B", "L", "G")),
            FloatRange("train.lr", low, high, log=True),
            FloatRange("train.weight_decay", 1e-4, 1e-1, log=True),
            Choice("train.schedule", ("warmup_cosine", "cosine", "constant")),
            FloatRange("train.warmup_frac", 0.0, 0.3, when={"train.schedule": ("warmup_cosine",)}),
        ),
    )


CLAIM = Claim(
    statement="An exploration of E-P2.5's whole space: what it finds is a proposal for a study, and no finding.",
    primary="mask_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    exploratory=True,
)
