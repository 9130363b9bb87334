"""The learning rate of each size of E2.1: what `c2_scaling` trains its five sizes with (protocols, section 8).

The original trained every size at the rate that suited the small ones, and read the under-trained large one as "smaller
is better". Every cell is trained to its own end, and validation images alone choose. The planned loss is LPIPS + 0.1 MSE;
at tiny scale it is the squared error, as nearness to a random trunk's features is no aim.
"""

from foresight.claim import Claim
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
from foresight.space import Factor, SearchSpace

# Budgets in parameters, and the layers that the plan gives each size.
LAYERS = {5_000_000: 2, 10_000_000: 2, 20_000_000: 3, 50_000_000: 4, 100_000_000: 4}
REFERENCE = 100_000_000
# Over a factor of thirty, as a wide layer wants a lower rate than a narrow one and no size may end at the edge.
RATES = {"tiny": (2e-4, 6e-4, 2e-3, 6e-3), "full": (1e-5, 3e-5, 1e-4, 3e-4)}
FIRST_SEED = 1000  # none of the seeds that `c2_scaling` judges by


def baseline(scale: str) -> TrialConfig:
    """The largest adapter at the third rate, which the originals had for all sizes."""
    adapter = {"budget_params": REFERENCE // BUDGET_DIVISOR[scale], "layers": LAYERS[REFERENCE]}
    lr = RATES[scale][2]
    if scale == "full":
        return TrialConfig(
            scale="full",
            data=DataConfig(n_train=10_000, n_val=500, n_test=500, image_px=224, target_px=224),
            vlm=VLMConfig(checkpoint="Qwen/Qwen2.5-VL-7B-Instruct"),
            dinov2=DINOv2Config(checkpoint="lvd142m"),
            bridge="adapter",
            adapter=AdapterConfig(**adapter, queries=77, dropout=0.1, conditioning_dim=4096),
            decoder=DecoderConfig(width=256, heads=8, grid=28),
            loss=LossConfig(name="lpips_l2"),
            train=TrainConfig(
                epochs=50, batch_size=8, accumulate=4, lr=lr, weight_decay=1e-4, schedule="plateau", patience=3,
                precision="bf16",
            ),
            seed=FIRST_SEED,
        )  # fmt: skip
    return TrialConfig(
        scale="tiny",
        data=DataConfig(n_train=64, n_val=32, n_test=128, image_px=56, target_px=32, seed=1),
        bridge="adapter",
        adapter=AdapterConfig(**adapter, queries=16),
        train=TrainConfig(epochs=100, batch_size=8, lr=lr, schedule="plateau", patience=8),
        seed=FIRST_SEED,
    )


def sizes(scale: str) -> Factor:
    """The five budgets, each with its layers."""
    layers = {budget // BUDGET_DIVISOR[scale]: n_layers for budget, n_layers in LAYERS.items()}
    with_level = {budget: {"adapter.layers": n_layers} for budget, n_layers in layers.items()}
    return Factor("size", "adapter.budget_params", tuple(layers), with_level)


def space(scale: str) -> SearchSpace:
    """Every size at every rate."""
    rates = Factor("learning rate", "train.lr", RATES[scale])
    return SearchSpace(baseline(scale), (sizes(scale), rates), design="factorial")


CLAIM = Claim(
    statement="No size at any rate reconstructs held-out layout better than the largest at the planned rate does.",
    primary="mask_iou",
    margin=0.02,
    alpha=0.05,
    seeds=2,
    exploratory=True,
)
