"""A study that needs another: the better of its two layer numbers goes with every level of its own factor."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import small_study

from foresight.claim import Claim
from foresight.space import Factor, SearchSpace
from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep


def space(scale: str) -> SearchSpace:
    """The needed study's baseline, and another learning rate."""
    baseline = small_study.space(scale).baseline
    return SearchSpace(baseline, (Factor("learning rate", "train.lr", (baseline.train.lr, 1e-3)),))


def choose(space: SearchSpace, results: Mapping[str, pd.DataFrame]) -> SearchSpace:
    """The number of layers with the lower mean validation loss."""
    trials = results["small_study"]
    one_at_a_time = trials[trials["config/fusion.queries"] == space.baseline.fusion.queries]
    layers = one_at_a_time.groupby("config/fusion.layers")["val/loss"].mean().idxmin()
    return replace(space, baseline=space.baseline.with_fields({"fusion.layers": int(layers)}))


CLAIM = Claim("A smaller learning rate is no better.", "mask_iou", margin=0.02, alpha=0.05, seeds=2)
SWEEP = Sweep("needing_study", "?", space, CLAIM, seeds=1, needs=(small_study.SWEEP,), choose=choose, keep_weights=True)

if __name__ == "__main__":
    main(SWEEP)
