"""What is measured: every metric's versioned definition, unit, direction and range. Starts without torch.

A metric's name carries what it measures with: LPIPS with its pretrained trunk is `lpips`, with a random trunk
`lpips_random_trunk`, and they are two metrics. Changing how a number is computed means raising its version.
"""

import math
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
    compares: str = ""  # the run-log column that a relative metric sets against the reference arm's, seed by seed

    @property
    def id(self) -> str:
        """`mask_iou/v1`: the name and version that a stored number was computed with."""
        return f"{self.name}/v{self.version}"


_LPIPS = "mean over layers of unit-normalised AlexNet feature differences (Zhang et al. 2018), inputs in [-1, 1]"

_MAP = (
    "COCO's mean average precision (pycocotools: 101 recall points, mean over classes with true objects, 100 detections of an "
    "image at most); a detection is a query's best class with its probability, and no score is too low to count"
)
_PAIRED = "objects and detections of one class, whatever their score, are paired one to one for the largest sum of IoU"
# 1 is parity. An arm without any distance has 2; one beside a reference that comes near none has no lower bound.
_EFFICIENCY = "1 - (arm - reference) / reference, of the claim's reference arm at the same seed, on"

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
            "map", 1, "mAP", "fraction", "higher", 0.0, 1.0,
            f"{_MAP}; mean over IoU thresholds 0.5, 0.55 to 0.95",
        ),
        Metric("map_50", 1, "mAP at IoU 0.5", "fraction", "higher", 0.0, 1.0, f"{_MAP}; IoU threshold 0.5"),
        Metric("map_75", 1, "mAP at IoU 0.75", "fraction", "higher", 0.0, 1.0, f"{_MAP}; IoU threshold 0.75"),
        Metric(
            "recall_50", 1, "Recall at IoU 0.5", "fraction", "higher", 0.0, 1.0,
            f"share of an image's objects whose IoU with their detection is 0.5 or more; {_PAIRED}",
        ),
        Metric(
            "matched_iou", 1, "Matched box IoU", "fraction", "higher", 0.0, 1.0,
            f"mean over an image's objects of the IoU with their detection, 0 without one; {_PAIRED}",
        ),
        Metric(
            "generalisation_gap", 1, "Generalisation gap", "loss", "lower", -math.inf, math.inf,
            "mean MSE + mask BCE of the test images minus that of as many training images, the first of them, without "
            "dropout; not a metric of one image",
        ),
        Metric(
            "param_efficiency", 1, "Parameter efficiency", "ratio", "higher", -math.inf, 2.0, f"{_EFFICIENCY} lpips",
            compares="test/lpips",
        ),
        Metric(
            "param_efficiency_random_trunk", 1, "Parameter efficiency (random trunk)", "ratio", "higher", -math.inf, 2.0,
            f"{_EFFICIENCY} lpips_random_trunk", compares="test/lpips_random_trunk",
        ),
        Metric(
            "training_time_ratio", 1, "Training time ratio", "ratio", "lower", 0.0, math.inf,
            "training seconds of the arm / those of the claim's reference arm at the same seed", compares="cost/train_s",
        ),
    )
}  # fmt: skip
# Derived from the run log by `analysis.relative`, not measured by a trial: the reference is another trial.
RELATIVE_METRICS = tuple(name for name, metric in METRICS.items() if metric.compares)
