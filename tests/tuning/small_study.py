"""A whole study small enough for a test: two factors, two seeds, six trials of well under a second each."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from foresight.claim import Claim
from foresight.config import DataConfig, FusionConfig, TrainConfig, TrialConfig
from foresight.space import Factor, SearchSpace
from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep

FACTORS = (Factor("layers", "fusion.layers", (1, 2)), Factor("queries", "fusion.queries", (16, 32)))
CLAIM = Claim("Two layers are no better than one.", "mask_iou", margin=0.02, alpha=0.05, seeds=2)


def space(scale: str) -> SearchSpace:
    """The same toy size at both scales; at full scale the checkpoints are named."""
    baseline = TrialConfig(
        scale=scale,
        data=DataConfig(n_train=16, n_val=4, n_test=8, image_px=56),
        fusion=FusionConfig(layers=1, queries=16),
        train=TrainConfig(epochs=2),
    )
    if scale == "full":
        baseline = baseline.with_fields({"vlm.checkpoint": "nobody/no-vlm", "dinov2.checkpoint": "no_tag"})
    return SearchSpace(baseline, FACTORS)


SWEEP = Sweep("small_study", "Do layers and queries matter here?", space, CLAIM, seeds=2)

if __name__ == "__main__":
    main(SWEEP)
