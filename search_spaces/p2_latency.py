"""E-P2.6: what the second encoder and the fusion cost in time (protocols, section 6).

Nothing is trained: every trial builds the pipeline and times its components one by one. The decoder is the small one
that stands in for LTX-Video (some 800 ms by the plan), so the overhead here is an upper bound of that beside LTX-Video.
"""

from typing import Any

from foresight.claim import Claim, Criterion
from foresight.config import (
    DataConfig,
    DecoderConfig,
    DINOv2Config,
    FusionConfig,
    TimingConfig,
    TrialConfig,
    VLMConfig,
)
from foresight.space import Factor, SearchSpace

IMAGE_PX: dict[str, tuple[Any, ...]] = {"tiny": (112, 224), "full": (224, 448)}


def baseline(scale: str) -> TrialConfig:
    """One picture through E-P2.5's baseline."""
    if scale == "full":
        return TrialConfig(
            task="latency",
            scale="full",
            data=DataConfig(image_px=224, target_px=224),
            vlm=VLMConfig(checkpoint="Qwen/Qwen2.5-VL-7B-Instruct"),
            dinov2=DINOv2Config(checkpoint="lvd142m"),
            fusion=FusionConfig(width=512, conditioning_dim=4096),
            decoder=DecoderConfig(width=256, heads=8, grid=28),
            timing=TimingConfig(precision="bf16", n_warmup=10, n_repeats=50),
        )
    return TrialConfig(task="latency", scale="tiny", data=DataConfig(image_px=112, target_px=32))


def space(scale: str) -> SearchSpace:
    """Every other level of each factor, one at a time."""
    factors = (
        Factor("batch size", "timing.batch_size", (1, 4, 8)),
        Factor("precision", "timing.precision", ("fp32", "bf16")),
        Factor("DINOv2 size", "dinov2.size", ("B", "L", "G")),
        Factor("fusion layers", "fusion.layers", (2, 4, 6, 8)),
        Factor("picture side", "data.image_px", IMAGE_PX[scale]),
    )
    return SearchSpace(baseline(scale), factors)


CLAIM = Claim(
    statement="DINOv2 and the fusion add less than a quarter to the time of the VLM and the decoder.",
    primary="latency_overhead",
    margin=0.05,
    alpha=0.05,
    seeds=5,
    criteria=(
        Criterion("latency_overhead", target=0.15, acceptable=0.25, failure=0.50),
        # The plan's milliseconds on an A100 with LTX-Video. Where it names one limit, that is acceptable and failure.
        Criterion("latency_ms", target=1400.0, acceptable=1500.0, failure=1500.0),
        Criterion("latency_dinov2_ms", target=150.0, acceptable=200.0, failure=200.0),
        Criterion("latency_fusion_ms", target=50.0, acceptable=100.0, failure=100.0),
    ),
)
