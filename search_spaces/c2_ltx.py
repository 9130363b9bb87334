"""Does a bridge condition the frozen LTX-Video itself, in whose place C2's studies have a small trained decoder?

The originals never ran LTX-Video: a pixel decoder of 52M parameters stood in for it and was trained with every bridge. Here
nothing but the adapter is trained. The arm with a transformer of random weights is the negative control: what an adapter
reaches there owes nothing to what the decoder has learnt.
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

BUDGETS_PARAMS = (10_000_000, 20_000_000)


def baseline(scale: str) -> TrialConfig:
    """The query adapter of 10M parameters on both streams, before a pretrained decoder."""
    budget_params = BUDGETS_PARAMS[0] // BUDGET_DIVISOR[scale]
    if scale == "full":
        return TrialConfig(
            scale="full",
            data=DataConfig(name="big_shapes", n_train=10_000, n_val=500, n_test=500, image_px=224, target_px=224),
            vlm=VLMConfig(checkpoint="Qwen/Qwen2.5-VL-7B-Instruct"),
            dinov2=DINOv2Config(checkpoint="lvd142m"),
            bridge="adapter",
            adapter=AdapterConfig(budget_params=budget_params, queries=77, dropout=0.1, conditioning_dim=4096),
            decoder=DecoderConfig(name="ltx", checkpoint="Lightricks/LTX-Video", sampling_steps=30),
            train=TrainConfig(epochs=20, batch_size=8, lr=1e-4, precision="bf16"),
        )
    return TrialConfig(
        scale="tiny",
        data=DataConfig(name="big_shapes", n_train=512, n_val=32, n_test=128, image_px=112, target_px=64, seed=1),
        bridge="adapter",
        adapter=AdapterConfig(budget_params=budget_params, queries=16, conditioning_dim=64),
        decoder=DecoderConfig(name="ltx"),
        train=TrainConfig(epochs=6, batch_size=16, lr=5e-3),
    )


def space(scale: str) -> SearchSpace:
    """The adapter's budget, the streams that it reads, and the negative control."""
    budgets = tuple(params // BUDGET_DIVISOR[scale] for params in BUDGETS_PARAMS)
    return SearchSpace(
        baseline(scale),
        (
            Factor("budget", "adapter.budget_params", budgets),
            Factor("streams", "streams", ("both", "vlm", "dinov2")),
            Factor("pretrained decoder", "decoder.pretrained", (True, False)),
        ),
    )


CLAIM = Claim(
    statement=(
        "An adapter of 10M parameters makes the frozen LTX-Video draw held-out layout, and neither twice the parameters nor "
        "one stream alone does better."
    ),
    primary="picture_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    criteria=(
        Criterion("picture_iou", target=0.75, acceptable=0.70, failure=0.65),  # C2's bands for spatial IoU
        Criterion("lpips", target=0.20, acceptable=0.22, failure=0.25),  # the plan's bands for E2.1 and E2.2
    ),
)
