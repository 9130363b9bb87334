"""A whole search small enough for a test: eight proposals at two seeds, each trial well under a second."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from foresight.claim import Claim
from foresight.config import DataConfig, FusionConfig, TrainConfig, TrialConfig
from foresight.dimensions import Choice, FloatRange, IntRange
from foresight.proposal_space import ProposalSpace
from foresight.tuning.search import Asha, Search
from foresight.tuning.search_launch import main_search


def space(scale: str) -> ProposalSpace:
    """The same toy size at both scales."""
    baseline = TrialConfig(
        scale=scale,
        data=DataConfig(n_train=16, n_val=4, n_test=8, image_px=56),
        fusion=FusionConfig(layers=1, queries=16),
        train=TrainConfig(epochs=3),
    )
    return ProposalSpace(
        baseline,
        (
            Choice("fusion.strategy", ("cross_attention", "concat")),
            Choice("fusion.heads", (None, 8), when={"fusion.strategy": ("cross_attention",)}),
            IntRange("fusion.layers", 1, 2),
            FloatRange("train.lr", 1e-3, 1e-1, log=True),
        ),
    )


SEARCH = Search(
    "small_search",
    "Which of these learns fastest?",
    space,
    Claim("An exploration.", "mask_iou", margin=0.02, alpha=0.05, seeds=3, exploratory=True),
    objectives=("loss",),
    proposals=8,
    seeds=2,
    asha=Asha(first_rung=1, reduction=2),
)

if __name__ == "__main__":
    main_search(SEARCH)
