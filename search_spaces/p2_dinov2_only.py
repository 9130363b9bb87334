"""E-P2.2: what one stream alone reconstructs, and whether the other adds to it (protocols, section 6).

A query adapter reads DINOv2 alone, the VLM alone, or both, at 5, 10 and 20M parameters: every combination, so that a
stream is compared at equal size. The original trained one DINOv2 bridge of 213M and left the sizes out. At tiny scale
the budgets are the labels divided by 100.
"""

from foresight.claim import Claim, Criterion
from foresight.config import (
    BUDGET_DIVISOR,
    AdapterConfig,
    DataConfig,
    DecoderConfig,
    DINOv2Config,
    TrainConfig,
    TrialConfig,
    VLMConfig,
)
from foresight.space import Factor, SearchSpace

BUDGETS = (5_000_000, 10_000_000, 20_000_000)


def baseline(scale: str) -> TrialConfig:
    """DINOv2 alone, 10M."""
    budget_params = BUDGETS[1] // BUDGET_DIVISOR[scale]
    if scale == "full":
        return TrialConfig(
            scale="full",
            data=DataConfig(n_train=10_000, n_val=500, n_test=500, image_px=224, target_px=224),
            vlm=VLMConfig(checkpoint="Qwen/Qwen2.5-VL-7B-Instruct"),
            dinov2=DINOv2Config(checkpoint="lvd142m"),
            streams="dinov2",
            bridge="adapter",
            adapter=AdapterConfig(
                budget_params=budget_params, layers=4, queries=77, dropout=0.1, conditioning_dim=4096
            ),
            decoder=DecoderConfig(width=256, heads=8, grid=28),
            train=TrainConfig(epochs=100, batch_size=8, lr=1e-4, precision="bf16"),
        )
    return TrialConfig(
        scale="tiny",
        data=DataConfig(n_train=256, n_val=32, n_test=128, image_px=112, target_px=32, seed=1),
        streams="dinov2",
        bridge="adapter",
        adapter=AdapterConfig(budget_params=budget_params),
        train=TrainConfig(epochs=4, batch_size=8, lr=5e-3),
    )


def space(scale: str) -> SearchSpace:
    """Every stream at every size."""
    budgets = tuple(budget // BUDGET_DIVISOR[scale] for budget in BUDGETS)
    factors = (
        Factor("streams", "streams", ("dinov2", "vlm", "both")),
        Factor("adapter size", "adapter.budget_params", budgets),
    )
    return SearchSpace(baseline(scale), factors, design="factorial")


CLAIM = Claim(
    statement="No adapter of 5 to 20M that reads the VLM, alone or with DINOv2, reconstructs held-out layout better than "
    "one of 10M that reads DINOv2 alone.",
    primary="mask_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    criteria=(
        Criterion("lpips", target=0.25, acceptable=0.30, failure=0.40),
        Criterion("ssim", target=0.85, acceptable=0.80, failure=0.70),
        Criterion("mask_iou", target=0.75, acceptable=0.70, failure=0.60),
    ),
)
