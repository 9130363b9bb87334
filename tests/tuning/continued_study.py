"""A study that continues the trained models of another: two streams, two seeds, each trial well under a second."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from foresight.claim import Claim
from foresight.config import DataConfig, DetectorConfig, FusionConfig, HeldoutConfig, TrainConfig, TrialConfig
from foresight.space import Factor, SearchSpace
from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep

FACTORS = (Factor("streams", "streams", ("both", "dinov2")),)
CLAIM = Claim("Both streams are no worse than one.", "mask_iou", margin=0.02, alpha=0.05, seeds=2)


def reconstructions(scale: str) -> SearchSpace:
    """The models that are continued."""
    baseline = TrialConfig(
        scale=scale,
        data=DataConfig(name="scenes", n_train=16, n_val=4, n_test=8, image_px=56),
        fusion=FusionConfig(layers=1, queries=16),
        train=TrainConfig(epochs=1),
    )
    return SearchSpace(baseline, FACTORS)


def space(scale: str) -> SearchSpace:
    """The same models with a head."""
    own = {
        "task": "end_to_end",
        "detector": DetectorConfig(width=16, feedforward=16, n_queries=6, encoder_layers=0),
        "head_train": TrainConfig(epochs=2),
        "heldout": HeldoutConfig(clips=2),
    }
    return SearchSpace(reconstructions(scale).baseline.model_copy(update=own), FACTORS)


TRAINED = Sweep(
    "trained_study", "What do both streams reconstruct?", reconstructions, CLAIM, seeds=2, keep_weights=True
)
SWEEP = Sweep("continued_study", "And what is found in it?", space, CLAIM, seeds=2, needs=(TRAINED,), alone=True)

if __name__ == "__main__":
    main(SWEEP)
