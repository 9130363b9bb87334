"""The study that the chaos suite runs: four trials, long enough to be struck in; what the suite changes it reads from outside."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from foresight.claim import Claim
from foresight.config import DataConfig, FusionConfig, TrainConfig, TrialConfig
from foresight.space import Factor, SearchSpace
from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep

MARGIN, EPOCHS = "CHAOS_MARGIN", "CHAOS_EPOCHS"  # of the environment: another claim, other settings of every arm


def space(scale: str) -> SearchSpace:
    baseline = TrialConfig(
        data=DataConfig(n_train=16, n_val=4, n_test=8, image_px=56),
        fusion=FusionConfig(layers=1, queries=16),
        train=TrainConfig(epochs=int(os.environ.get(EPOCHS, "20"))),
    )
    return SearchSpace(baseline, (Factor("queries", "fusion.queries", (16, 32)),))


CLAIM = Claim("Queries do not matter.", "mask_iou", margin=float(os.environ.get(MARGIN, "0.02")), alpha=0.05, seeds=2)
SWEEP = Sweep("chaos_study", "Is anything lost?", space, CLAIM, seeds=2, keep_weights=True)

if __name__ == "__main__":
    main(SWEEP)
