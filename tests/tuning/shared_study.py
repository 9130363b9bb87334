"""A study of two arms whose trials workers share: a short one, and one long enough to be disturbed in."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from foresight.claim import Claim
from foresight.config import DataConfig, FusionConfig, TrainConfig, TrialConfig
from foresight.space import Factor, SearchSpace
from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep

LONG = 300


def space(scale: str) -> SearchSpace:
    """Dropout is on: what a training that goes on draws must be what it would have drawn."""
    baseline = TrialConfig(
        data=DataConfig(n_train=16, n_val=4, n_test=8, image_px=56),
        fusion=FusionConfig(layers=1, queries=16, dropout=0.1),
        train=TrainConfig(epochs=LONG),
    )
    return SearchSpace(baseline, (Factor("length", "train.epochs", (LONG, 2)),))


CLAIM = Claim("A shared trial survives the loss of a worker.", "mask_iou", margin=0.02, alpha=0.05, seeds=2)
SWEEP = Sweep(
    "shared_study", "Does a trial that several processes share survive the loss of one?", space, CLAIM, seeds=2
)

if __name__ == "__main__":
    main(SWEEP)
