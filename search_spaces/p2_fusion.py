"""E-P2.3: does joining the VLM with DINOv2 beat either alone (protocols, section 6)?

The planned recipe: a loss of two stages (layout and LPIPS first, then the squared error as well), micro-batches of 4 and
four of them to a step at full scale, one at tiny, which has few steps. The original trained on its test images and with
another loss; `mse_l1` is the plain one. mAP and semantic consistency, the other two criteria of the plan, are those of
E-P2.4, which continues with these models on the same scenes.
"""

from foresight.claim import Claim, Criterion
from foresight.config import (
    DataConfig,
    DecoderConfig,
    DINOv2Config,
    FusionConfig,
    LossConfig,
    TrainConfig,
    TrialConfig,
    VLMConfig,
)
from foresight.space import Factor, SearchSpace

FACTORS = (
    Factor("streams", "streams", ("both", "dinov2", "vlm")),
    Factor("loss", "loss.name", ("two_stage", "mse_l1")),
)


def baseline(scale: str) -> TrialConfig:
    """The hybrid: cross-attention over both streams."""
    loss = LossConfig(name="two_stage")
    if scale == "full":
        return TrialConfig(
            scale="full",
            data=DataConfig(name="scenes", n_train=10_000, n_val=500, n_test=500, image_px=224, target_px=224),
            vlm=VLMConfig(checkpoint="Qwen/Qwen2.5-VL-7B-Instruct"),
            dinov2=DINOv2Config(checkpoint="lvd142m"),
            fusion=FusionConfig(width=1024, heads=8, dropout=0.1, conditioning_dim=4096),
            decoder=DecoderConfig(width=256, heads=8, grid=28),
            loss=loss,
            train=TrainConfig(epochs=10, batch_size=4, accumulate=4, lr=5e-5, precision="bf16"),
        )
    return TrialConfig(
        scale="tiny",
        data=DataConfig(name="scenes", n_train=384, n_val=32, n_test=128, image_px=112, target_px=32, seed=1),
        loss=loss,
        train=TrainConfig(epochs=6, batch_size=4, lr=5e-3),
    )


def space(scale: str) -> SearchSpace:
    """Each stream alone, and the plain loss."""
    return SearchSpace(baseline(scale), FACTORS)


CLAIM = Claim(
    statement="Neither stream alone reconstructs held-out layout better than the fusion of both does.",
    primary="mask_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    criteria=(
        Criterion("lpips", target=0.28, acceptable=0.35, failure=0.45),
        Criterion("mask_iou", target=0.70, acceptable=0.60, failure=0.50),
    ),
)
