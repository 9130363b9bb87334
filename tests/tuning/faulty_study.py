"""A study with one arm that takes seconds (to be killed in), one that diverges, and one with features of its own."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from foresight.claim import Claim
from foresight.config import DataConfig, FusionConfig, TrainConfig, TrialConfig
from foresight.space import Factor, SearchSpace
from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep

LONG, DIVERGING = 500, 1e30


def space(scale: str) -> SearchSpace:
    """Arms in this order: the baseline, the long one, the diverging one, the one with other features."""
    baseline = TrialConfig(
        data=DataConfig(n_train=16, n_val=4, n_test=8, image_px=56),
        fusion=FusionConfig(layers=1, queries=16),
        train=TrainConfig(epochs=1),
    )
    factors = (
        Factor("length", "train.epochs", (1, LONG)),
        Factor("rate", "train.lr", (3e-3, DIVERGING)),
        Factor("size", "dinov2.size", ("L", "B")),
    )
    return SearchSpace(baseline, factors)


CLAIM = Claim("A bad arm does not stop the others.", "mask_iou", margin=0.02, alpha=0.05, seeds=2)
SWEEP = Sweep("faulty_study", "What happens to a bad arm?", space, CLAIM, seeds=2)

if __name__ == "__main__":
    main(SWEEP)
