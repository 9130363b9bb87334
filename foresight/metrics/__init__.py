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
    over_samples: Literal["mean", "median"] = "mean"  # a trial's value from those of its samples, where they have any
    is_share: bool = False  # k of n samples, so that the value is k/n for some k
    is_time: bool = False  # measured on the machine and not on the test images, unless these are timed repeats
    # Whether a predictor that ignores its input does badly, so that a result has to beat it. Not so of steadiness and of a
    # difference between splits: a still picture never flickers, and what learned nothing is as bad on every split.
    has_floor: bool = True

    @property
    def id(self) -> str:
        """`mask_iou/v1`: the name and version that a stored number was computed with."""
        return f"{self.name}/v{self.version}"


@dataclass(frozen=True)
class Share:
    """Which of two streams a model relies on, from 0 to 1: neither better nor worse, so no claim can name it."""

    name: str
    label: str
    definition: str


_LPIPS = "mean over layers of unit-normalised AlexNet feature differences (Zhang et al. 2018), inputs in [-1, 1]"
_SEMANTIC = (
    "cosine of the mean final-layer VLM tokens of the reconstruction and of the target, both at the encoders' size"
)
_TEMPORAL = "variance over a reconstructed clip of the LPIPS between consecutive frames; a clip that stands still has 0"

_TIMED = "of one batch, each component synchronised with the device; median over repeats"
# 1 is parity. An arm without any distance has 2; one beside a reference that comes near none has no lower bound.
_EFFICIENCY = "1 - (arm - reference) / reference, of the claim's reference arm at the same seed, on"

_MAP = (
    "COCO's mean average precision (pycocotools: 101 recall points, mean over classes with true objects, 100 detections of an "
    "image at most); a detection is a query's best class with its probability, and no score is too low to count"
)
_PAIRED = "objects and detections of one class, whatever their score, are paired one to one for the largest sum of IoU"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "mask_iou", 1, "Mask IoU", "fraction", "higher", 0.0, 1.0,
            "IoU of the decoder's mask channel above 0.5 with the true object mask inside the picture; 1 if both are empty",
        ),
        Metric(
            "box_iou", 1, "Box IoU", "fraction", "higher", 0.0, 1.0,
            "IoU of the tight box around the predicted mask with the annotated box; 0 if nothing is predicted, "
            "not defined in a frame of a clip where no box is annotated",
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
        Metric(
            "edge_f1", 1, "Edge F1", "fraction", "higher", 0.0, 1.0,
            "F1 of edges that lie within 1.5 % of the side (at least 1 px) of each other; edges: ridges of the smoothed grey "
            "gradient above a quarter of the target's strongest; 1 if neither picture has one",
        ),
        Metric("psnr", 1, "PSNR", "dB", "higher", 0.0, 100.0, "10 log10(1 / mse) of one image, at most 100 dB"),
        Metric(
            "picture_iou", 1, "Picture IoU", "fraction", "higher", 0.0, 1.0,
            "IoU with the true object mask of the pixels that differ by more than 0.25 in some channel from the background, "
            "the median of the true picture's border; on plain backgrounds alone",
        ),
        Metric("mse", 1, "MSE", "squared intensity", "lower", 0.0, 1.0, "mean squared error on [0, 1] inside the picture"),
        Metric(
            "probe_box_iou", 1, "Box IoU of a probe", "fraction", "higher", 0.0, 1.0,
            "IoU of the one predicted box with the one annotated box",
        ),
        Metric(
            "iou_above_50", 1, "Boxes with IoU > 0.5", "fraction", "higher", 0.0, 1.0,
            "share of test images whose predicted box has an IoU above 0.5 with the annotated one",
            is_share=True,
        ),
        Metric(
            "iou_above_75", 1, "Boxes with IoU > 0.75", "fraction", "higher", 0.0, 1.0,
            "share of test images whose predicted box has an IoU above 0.75 with the annotated one",
            is_share=True,
        ),
        Metric(
            "centre_error", 1, "Centre error", "image sides", "lower", 0.0, 2.0,
            "distance of the predicted box's centre from the annotated one's, in units of the image side",
        ),
        Metric(
            "size_error", 1, "Size error", "ratio", "lower", 0.0, 1000.0,
            "mean of the errors in width and height relative to the annotated box's, whose sides count as at least 1/1000",
        ),
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
            "semantic_consistency", 1, "Semantic consistency", "cosine", "higher", -1.0, 1.0,
            f"{_SEMANTIC}; the pretrained VLM",
        ),
        Metric(
            "semantic_consistency_toy_vlm", 1, "Semantic consistency (toy VLM)", "cosine", "higher", -1.0, 1.0,
            f"{_SEMANTIC}; toy VLM with random weights, which knows no meaning",
        ),
        Metric(
            "temporal_lpips_variance", 1, "Temporal LPIPS variance", "squared distance", "lower", 0.0, 1.0,
            f"{_TEMPORAL}; torchvision's pretrained trunk",
            has_floor=False,
        ),
        Metric(
            "temporal_lpips_random_trunk_variance", 1, "Temporal LPIPS variance (random trunk)", "squared distance",
            "lower", 0.0, 1.0, f"{_TEMPORAL}; seeded random trunk",
            has_floor=False,
        ),
        Metric(
            "latency_overhead", 1, "Latency overhead", "fraction", "lower", -1.0, math.inf,
            "(hybrid - baseline) / baseline of one pass, hybrid = the encoders that are read + fusion + decoder, baseline = VLM "
            "+ decoder; median over repeats",
            over_samples="median", is_time=True,
        ),
        Metric(
            "latency_ms", 1, "Latency", "ms", "lower", 0.0, math.inf,
            f"the encoders that are read + fusion + decoder of one pass; {_TIMED}",
            over_samples="median", is_time=True,
        ),
        Metric(
            "latency_vlm_ms", 1, "VLM latency", "ms", "lower", 0.0, math.inf, f"VLM up to the layer read; {_TIMED}",
            over_samples="median", is_time=True,
        ),
        Metric(
            "latency_dinov2_ms", 1, "DINOv2 latency", "ms", "lower", 0.0, math.inf, f"DINOv2; {_TIMED}",
            over_samples="median", is_time=True,
        ),
        Metric(
            "latency_fusion_ms", 1, "Fusion latency", "ms", "lower", 0.0, math.inf,
            f"fusion or adapter, from features to conditioning tokens; {_TIMED}",
            over_samples="median", is_time=True,
        ),
        Metric(
            "latency_decoder_ms", 1, "Decoder latency", "ms", "lower", 0.0, math.inf, f"decoder; {_TIMED}",
            over_samples="median", is_time=True,
        ),
        Metric(
            "generalisation_gap", 1, "Generalisation gap", "loss", "lower", -math.inf, math.inf,
            "mean MSE + mask BCE of the test images minus that of as many training images, the first of them, without "
            "dropout; not a metric of one image",
            has_floor=False,
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
            is_time=True,
        ),
    )
}  # fmt: skip
METRICS_OF_MASKS = ("mask_iou", "box_iou")  # what needs the annotation of an object and a predicted mask
METRICS_OF_PLAIN_GROUND = ("picture_iou",)  # what reads the object off the picture itself
METRICS_OF_CLIPS = ("temporal_lpips_variance", "temporal_lpips_random_trunk_variance")  # what needs frames in order
# Derived from the run log by `analysis.relative`, not measured by a trial: the reference is another trial.
RELATIVE_METRICS = tuple(name for name, metric in METRICS.items() if metric.compares)

_INFLUENCE = (
    "how far a conditioning token moves (squared distance) when the VLM's tokens are exchanged for those of the next test "
    "image, over the sum of that and the same for DINOv2's: of their total effects (Jansen 1999), the VLM's share"
)
_ATTENTION = "share of the attention that a query pays to the VLM's tokens, mean over heads and layers"
_PLACES = {"object": "places inside the true mask", "background": "places outside it"}
# Columns `share/<name>` of a trial that reads both streams: means over places, then over test images.
SHARES: dict[str, Share] = {
    share.name: share
    for share in (
        *(
            Share(f"vlm_influence_{place}", f"VLM influence, {place}", f"{_INFLUENCE}; mean over {where}")
            for place, where in _PLACES.items()
        ),
        *(
            Share(
                f"vlm_attention_{place}", f"VLM attention, {place}",
                f"{_ATTENTION}; mean over {where}; only where one attention reads both streams",
            )
            for place, where in _PLACES.items()
        ),
    )
}  # fmt: skip

# `baseline/<name>/<metric>` that no bridge can be expected to beat: a decoder's VAE copying the test images themselves.
CEILINGS = ("vae_roundtrip",)
