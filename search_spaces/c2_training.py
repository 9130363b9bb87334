"""E2.3: loss, schedule, augmentation, dropout and weight decay around the planned recipe (protocols, section 8).

One factor at a time: 12 arms with the planned recipe counted once. The original's augmentation changed the targets behind
frozen features; here the encoders see what is changed (see `foresight.data.augment`).
"""

import math
from collections.abc import Mapping
from typing import Any

from foresight.claim import Claim, Criterion
from foresight.config import (
    BUDGET_DIVISOR,
    AdapterConfig,
    DataConfig,
    DecoderConfig,
    DINOv2Config,
    LossConfig,
    TrainConfig,
    TrialConfig,
    VLMConfig,
)
from foresight.space import BASELINE, Factor, SearchSpace

BUDGET_PARAMS = 10_000_000
# Each view is another copy of the features: at full size four of them would not leave room on a GPU.
VIEWS = {"tiny": 4, "full": 2}
CHOSEN_BY = "val/mask_iou"  # higher is better, and no loss of the study is measured by it


def baseline(scale: str) -> TrialConfig:
    """The planned recipe on the query adapter: LPIPS + 0.1 MSE, a tenth of warm-up and a cosine, dropout 0.1."""
    budget_params = BUDGET_PARAMS // BUDGET_DIVISOR[scale]
    if scale == "full":
        return TrialConfig(
            scale="full",
            data=DataConfig(n_train=10_000, n_val=500, n_test=500, image_px=224, target_px=224),
            vlm=VLMConfig(checkpoint="Qwen/Qwen2.5-VL-7B-Instruct"),
            dinov2=DINOv2Config(checkpoint="lvd142m"),
            bridge="adapter",
            adapter=AdapterConfig(budget_params=budget_params, queries=77, dropout=0.1, conditioning_dim=4096),
            decoder=DecoderConfig(width=256, heads=8, grid=28),
            loss=LossConfig(name="lpips_l2"),
            train=TrainConfig(epochs=30, batch_size=8, lr=1e-4, weight_decay=1e-4, precision="bf16"),
        )
    return TrialConfig(
        scale="tiny",
        data=DataConfig(n_train=128, n_val=64, n_test=128, image_px=112, target_px=32, seed=1),
        bridge="adapter",
        adapter=AdapterConfig(budget_params=budget_params, dropout=0.1),
        loss=LossConfig(name="lpips_l2"),
        train=TrainConfig(epochs=8, batch_size=8, lr=1e-2, weight_decay=1e-4),
    )


def factors(scale: str) -> tuple[Factor, ...]:
    """What E2.3 varies; the planned level comes first."""
    views = {name: {"data.views": VIEWS[scale]} for name in ("colour_jitter", "random_crop", "mixup")}
    return (
        Factor("loss", "loss.name", ("lpips_l2", "lpips", "lpips_ssim", "lpips_multiscale")),
        Factor("schedule", "train.schedule", ("warmup_cosine", "constant", "cosine", "cyclic")),
        Factor("augmentation", "data.augmentation", ("none", *views), with_level=views),
        Factor("dropout", "adapter.dropout", (0.1, 0.2)),
        Factor("weight decay", "train.weight_decay", (1e-4, 1e-3)),
    )


def space(scale: str) -> SearchSpace:
    """Every other level of each factor, one at a time."""
    return SearchSpace(baseline(scale), factors(scale))


def choose_recipe(scale: str, trials: Any) -> Mapping[str, Any]:
    """The fields of the recipe that E2.3 chose, where they differ from the planned one; none where the plan won throughout.

    Of each factor the level with the best mean CHOSEN_BY over seeds; the planned level wins a tie. `trials` is the frame
    of E2.3's trials.
    """
    # An arm that failed at one seed is no choice.
    means = trials.groupby("arm")[CHOSEN_BY].agg(lambda values: values.mean(skipna=False)).fillna(-math.inf)
    chosen: dict[str, Any] = {}
    for factor in factors(scale):
        planned, *others = factor.levels
        scores = {planned: means[BASELINE]} | {level: means[f"{factor.field}={level}"] for level in others}
        best = max(scores, key=scores.__getitem__)
        if best != planned:
            chosen |= factor.changes(best)
    return chosen


CLAIM = Claim(
    statement="No change of the training strategy reconstructs held-out layout better than the planned recipe does.",
    primary="mask_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    criteria=(
        Criterion("mask_iou", target=0.75, acceptable=0.70, failure=0.65),  # C2's, as E2.4 has them
        Criterion("lpips", target=0.18, acceptable=0.20, failure=0.25),
    ),
)
