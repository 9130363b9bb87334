"""A study of more images than one shard holds, and a command that fills the cache for it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from foresight.claim import Claim
from foresight.config import DataConfig, TrialConfig
from foresight.space import Factor, SearchSpace
from foresight.tuning.sweep import Sweep
from foresight.tuning.warm import main


def space(scale: str) -> SearchSpace:
    """Two sizes of DINOv2 and one VLM layer for 1,600 images of training: twelve shards of them."""
    baseline = TrialConfig(data=DataConfig(n_train=1600, n_val=8, n_test=8, image_px=56))
    return SearchSpace(baseline, (Factor("DINOv2 size", "dinov2.size", ("B", "L")),))


CLAIM = Claim("The larger encoder is no better.", "mask_iou", margin=0.02, alpha=0.05, seeds=5)
SWEEP = Sweep("wide_study", "Does size matter?", space, CLAIM)

if __name__ == "__main__":
    main(["wide_study"], lambda name: SWEEP)
