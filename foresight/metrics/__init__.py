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
        Metric("mse", 1, "MSE", "squared intensity", "lower", 0.0, 1.0, "mean squared error on [0, 1] inside the picture"),
        Metric(
            "probe_box_iou", 1, "Box IoU of a probe", "fraction", "higher", 0.0, 1.0,
            "IoU of the one predicted box with the one annotated box",
        ),
        Metric(
            "iou_above_50", 1, "Boxes with IoU > 0.5", "fraction", "higher", 0.0, 1.0,
            "share of test images whose predicted box has an IoU above 0.5 with the annotated one",
        ),
        Metric(
            "iou_above_75", 1, "Boxes with IoU > 0.75", "fraction", "higher", 0.0, 1.0,
            "share of test images whose predicted box has an IoU above 0.75 with the annotated one",
        ),
        Metric(
            "centre_error", 1, "Centre error", "image sides", "lower", 0.0, 2.0,
            "distance of the predicted box's centre from the annotated one's, in units of the image side",
        ),
        Metric(
            "size_error", 1, "Size error", "ratio", "lower", 0.0, 1000.0,
            "mean of the errors in width and height relative to the annotated box's, whose sides count as at least 1/1000",
        ),
    )
}  # fmt: skip
