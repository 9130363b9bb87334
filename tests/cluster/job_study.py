"""A study for a job: eight trials, each long enough for its driver to be ended in the middle of it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from foresight.claim import Claim
from foresight.config import DataConfig, FusionConfig, TrainConfig, TrialConfig
from foresight.space import Factor, SearchSpace
from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep


def space(scale: str) -> SearchSpace:
    baseline = TrialConfig(
        data=DataConfig(n_train=16, n_val=4, n_test=8, image_px=56),
        fusion=FusionConfig(layers=1, queries=16),
        train=TrainConfig(epochs=250),
    )
    return SearchSpace(baseline, (Factor("queries", "fusion.queries", (16, 32)),))


CLAIM = Claim("Queries do not matter.", "mask_iou", margin=0.02, alpha=0.05, seeds=4)
SWEEP = Sweep("job_study", "Does a job that was ended go on?", space, CLAIM, seeds=4)

if __name__ == "__main__":
    main(SWEEP)
