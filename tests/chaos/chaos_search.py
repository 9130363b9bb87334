"""The search that the chaos suite runs: four proposals of one seed over a small space."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from foresight.claim import Claim
from foresight.config import DataConfig, FusionConfig, TrainConfig, TrialConfig
from foresight.dimensions import FloatRange, IntRange
from foresight.proposal_space import ProposalSpace
from foresight.tuning.search import Search
from foresight.tuning.search_launch import main_search


def space(scale: str) -> ProposalSpace:
    baseline = TrialConfig(
        data=DataConfig(n_train=16, n_val=4, n_test=8, image_px=56),
        fusion=FusionConfig(layers=1, queries=16),
        train=TrainConfig(epochs=20),
    )
    return ProposalSpace(
        baseline, (IntRange("fusion.queries", 16, 64, step=16), FloatRange("train.lr", 1e-3, 1e-2, log=True))
    )


CLAIM = Claim("An exploration.", "mask_iou", margin=0.02, alpha=0.05, seeds=2, exploratory=True)
SEARCH = Search("chaos_search", "Is a proposal lost?", space, CLAIM, sampler="tpe", proposals=4, seeds=1)

if __name__ == "__main__":
    main_search(SEARCH)
