"""The whole space of C2: the adapter's architecture and size, and the recipe of E2.3, with its numbers over ranges.

A loss cannot judge between losses, so the search goes by the mask IoU of validation images, which none of them minimises.
"""

from foresight.claim import Claim
from foresight.config import BUDGET_DIVISOR, TrialConfig
from foresight.dimensions import Choice, FloatRange, IntRange
from foresight.proposal_space import ProposalSpace
from search_spaces import c2_training

BUDGETS = (5_000_000, 10_000_000, 20_000_000, 50_000_000, 100_000_000)
ARCHITECTURES = ("query", "bottleneck", "lora", "perceiver", "moe")
AUGMENTATIONS = ("colour_jitter", "random_crop", "mixup")
RATES = {"tiny": (5e-4, 3e-2), "full": (1e-5, 1e-3)}


def baseline(scale: str) -> TrialConfig:
    """The planned recipe on the 10M query adapter: the first proposal."""
    return c2_training.baseline(scale)


def space(scale: str) -> ProposalSpace:
    """Adapter and recipe. Every architecture has layers; only augmented images have further views."""
    low, high = RATES[scale]
    return ProposalSpace(
        baseline(scale),
        (
            Choice("adapter.architecture", ARCHITECTURES),
            Choice("adapter.budget_params", tuple(budget // BUDGET_DIVISOR[scale] for budget in BUDGETS)),
            IntRange("adapter.layers", 1, 4),
            IntRange("adapter.queries", 16, 128),
            FloatRange("adapter.dropout", 0.0, 0.3),
            Choice("loss.name", ("lpips_l2", "lpips", "lpips_ssim", "lpips_multiscale")),
            Choice("data.augmentation", ("none", *AUGMENTATIONS)),
            Choice("data.views", (c2_training.VIEWS[scale],), when={"data.augmentation": AUGMENTATIONS}),
            FloatRange("train.lr", low, high, log=True),
            FloatRange("train.weight_decay", 1e-5, 1e-2, log=True),
            Choice("train.schedule", ("warmup_cosine", "constant", "cosine", "cyclic")),
            FloatRange("train.warmup_frac", 0.0, 0.3, when={"train.schedule": ("warmup_cosine",)}),
        ),
    )


CLAIM = Claim(
    statement="An exploration of C2's whole space: what it finds is a proposal for a study, and no finding.",
    primary="mask_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    exploratory=True,
)
