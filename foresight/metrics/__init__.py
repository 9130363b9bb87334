"""What is measured: every metric's versioned definition, unit, direction and range. Starts without torch.

A metric's name carries what it measures with: LPIPS with its pretrained trunk is `lpips`, with a random trunk
`lpips_random_trunk`, and they are two metrics. Changing how a number is computed means raising its version.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One metric. `low` and `high` bound every possible value; a value outside them is a bug, not a result."""

    name: str
    version: int
    label: str
    unit: str
    direction: Literal["higher", "lower"]
    low: float
    high: float
    definition: str

    @property
    def id(self) -> str:
        """`mask_iou/v1`: the name and version that a stored number was computed with."""
        return f"{self.name}/v{self.version}"


_LPIPS = "mean over layers of unit-normalised AlexNet feature differences (Zhang et al. 2018), inputs in [-1, 1]"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "mask_iou", 1, "Mask IoU", "fraction", "higher", 0.0, 1.0,
            "IoU of the decoder's mask channel above 0.5 with the true object mask inside the picture; 1 if both are empty",
        ),
        Metric(
            "box_iou", 1, "Box IoU", "fraction", "higher", 0.0, 1.0,
            "IoU of the tight box around the predicted mask with the annotated box; 0 if nothing is predicted",
        ),
        Metric("lpips", 1, "LPIPS", "distance", "lower", 0.0, 2.0, f"{_LPIPS}; torchvision's pretrained trunk"),
        Metric(
            "lpips_random_trunk", 1, "LPIPS (random trunk)", "distance", "lower", 0.0, 2.0,
            f"{_LPIPS}; seeded random trunk, not comparable with published LPIPS",
        ),
        Metric(
            "ssim", 1, "SSIM", "index", "higher", -1.0, 1.0,
            "structural similarity of the grey images, Gaussian window sd 1.5, mean inside the picture (Wang et al. 2004)",
        ),
        Metric("psnr", 1, "PSNR", "dB", "higher", 0.0, 100.0, "10 log10(1 / mse) of one image, at most 100 dB"),
        Metric(
            "picture_iou", 1, "Picture IoU", "fraction", "higher", 0.0, 1.0,
            "IoU with the true object mask of the pixels that differ by more than 0.25 in some channel from the background, "
            "the median of the true picture's border; on plain backgrounds alone",
        ),
        Metric("mse", 1, "MSE", "squared intensity", "lower", 0.0, 1.0, "mean squared error on [0, 1] inside the picture"),
    )
}  # fmt: skip

# `baseline/<name>/<metric>` that no bridge can be expected to beat: a decoder's VAE copying the test images themselves.
CEILINGS = ("vae_roundtrip",)
