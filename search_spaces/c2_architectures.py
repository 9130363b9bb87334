"""E2.2: five adapter architectures at one budget of 10M parameters (protocols, section 8).

The originals had 1.4M to 28M parameters that a gradient reached under the one label. At tiny scale the budget is the
label divided by 100.
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

BUDGET_PARAMS = 10_000_000
FACTORS = (Factor("architecture", "adapter.architecture", ("query", "bottleneck", "lora", "perceiver", "moe")),)


def baseline(scale: str) -> TrialConfig:
    """The query adapter with two layers: the published winner."""
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
            train=TrainConfig(epochs=20, batch_size=8, lr=1e-4, precision="bf16"),
        )
    return TrialConfig(
        scale="tiny",
        data=DataConfig(n_train=256, n_val=32, n_test=128, image_px=112, target_px=32),
        bridge="adapter",
        adapter=AdapterConfig(budget_params=budget_params),
        train=TrainConfig(epochs=4, batch_size=8, lr=5e-3),
    )


def space(scale: str) -> SearchSpace:
    """Every architecture, at the baseline's budget."""
    return SearchSpace(baseline(scale), FACTORS)


CLAIM = Claim(
    statement="At one budget, no adapter architecture reconstructs held-out layout better than the query adapter does.",
    primary="mask_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    criteria=(
        Criterion("lpips", target=0.20, acceptable=0.22, failure=0.25),  # the plan's bands for E2.2
        Criterion("mask_iou", target=0.75, acceptable=0.70, failure=0.65),  # C2's, as E2.4 has them
    ),
)
