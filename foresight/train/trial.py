"""One trial, whole: staged features -> bridge -> training -> test metrics. Yields epoch rows, returns the result."""

import hashlib
import io
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from foresight.config import TrialConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.features.stage import StagedData, StagedSplit
from foresight.metrics import METRICS
from foresight.metrics.baselines import TRIVIAL_PREDICTORS
from foresight.metrics.cost import compute_flops, count_parameters
from foresight.metrics.evaluate import compute_image_metrics
from foresight.metrics.lpips import Lpips
from foresight.metrics.reconstruction import fill_padding
from foresight.models.bridge import Bridge, build_bridge
from foresight.train.curve import compute_convergence_epoch, compute_loss_variance
from foresight.train.loop import EVAL_BATCH, autocast, batch_losses, train, weighted_loss

N_EXAMPLES = 8


@dataclass
class TrialResult:
    """What a trial leaves: columns of its row, per-image metrics, and a strip of example pictures."""

    columns: dict[str, Any]
    samples: pd.DataFrame
    examples_png: bytes
    epochs: list[dict[str, float]] = field(default_factory=list)


def run_trial(
    config: TrialConfig, data: StagedData, lpips: Lpips, device: str
) -> Generator[dict[str, float], None, TrialResult]:
    """Trains and measures one trial.

    Raises DivergedError when the loss stops being a number, and ValueError when a counted parameter gets no gradient.
    """
    started = time.perf_counter()
    if torch.device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    bridge = build_bridge(config, shapes_of(data)).to(device)
    columns = count_parameters(bridge, probe_gradients(bridge, config, data, device), data.n_encoder_params)
    columns["cost/budget_params"] = config.adapter.budget_params if config.bridge == "adapter" else None
    columns["cost/flops"] = compute_flops(bridge, data.test.features[:1])
    epochs: list[dict[str, float]] = []
    for row in train(bridge, data, config.train, config.seed, device):
        epochs.append(row)
        paused = time.perf_counter()
        yield row
        started += time.perf_counter() - paused  # what the consumer did meanwhile is not the trial's
    train_s = epochs[-1]["wall_s"]
    samples, examples_png = evaluate(bridge, config, data.test, lpips, device)
    names = [name for name in samples.columns if name not in ("sample_hash", "split", "scene")]
    columns |= {f"test/{name}": float(samples[name].mean()) for name in names}
    columns |= {name: value for name, value in epochs[-1].items() if name.startswith("val/")}
    losses = [row["train/loss"] for row in epochs]
    columns["train/loss_variance"] = compute_loss_variance(losses)
    columns["train/convergence_epoch"] = compute_convergence_epoch(losses)
    if not data.trivial_scores:
        data.trivial_scores.update(compute_trivial_scores(data, lpips))
    columns |= data.trivial_scores
    on_gpu = torch.device(device).type == "cuda"
    columns |= {
        "cost/train_s": train_s,
        "cost/trial_s": time.perf_counter() - started,
        "cost/gpu_s": train_s if on_gpu else 0.0,
        # Not measured on a CPU: a reused process only knows the most that any of its trials ever took.
        "cost/peak_memory_mb": torch.cuda.max_memory_allocated(device) / 2**20 if on_gpu else None,
        "data/n_train": len(data.train),
        "data/n_val": len(data.val),
        "data/n_test": len(data.test),
        "data/train_hash": set_hash(data.train),
        "data/test_hash": set_hash(data.test),
        "env/lpips_trunk": lpips.trunk,
        "env/metric_ids": " ".join(METRICS[name].id for name in names),
    }
    return TrialResult(columns, samples, examples_png, epochs)


def shapes_of(data: StagedData) -> FeatureShapes:
    """The feature shapes that the staged tokens really have."""
    features = data.train.features
    return FeatureShapes(
        features.vlm_BVC.shape[-1],
        round(features.vlm_BVC.shape[1] ** 0.5),
        features.spatial_BSC.shape[-1],
        round(features.spatial_BSC.shape[1] ** 0.5),
    )


def set_hash(split: StagedSplit) -> str:
    """16 hex digits over the content hashes of a split's images, in any order: equal exactly for equal sets."""
    return hashlib.sha256(" ".join(sorted(split.sample_hash)).encode()).hexdigest()[:16]


def probe_gradients(bridge: Bridge, config: TrialConfig, data: StagedData, device: str) -> set[str]:
    """Names of the parameters that a loss on four training images reaches. Leaves no gradient behind."""
    bridge.eval()
    index = torch.arange(min(4, len(data.train)), device=device)
    weighted_loss(batch_losses(bridge, data.train, index), config.train).backward()
    reached = {name for name, p in bridge.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}
    bridge.zero_grad(set_to_none=True)
    return reached


@torch.no_grad()
def evaluate(
    bridge: Bridge, config: TrialConfig, split: StagedSplit, lpips: Lpips, device: str
) -> tuple[pd.DataFrame, bytes]:
    """(one row per image with every metric, a PNG strip of the first images)"""
    bridge.eval()
    columns: dict[str, list[np.ndarray]] = {}
    examples_png = b""
    for index in torch.arange(len(split), device=device).split(EVAL_BATCH):
        with autocast(device, config.train.precision):
            picture, mask_logits = bridge(split.features[index])
        picture, mask_prob = picture.float(), mask_logits.float().sigmoid()
        target = split.targets_N3HW[index].float() / 255
        content, mask = split.content_NHW[index], split.masks_NHW[index]
        metrics = compute_image_metrics(picture, mask_prob, target, mask, split.boxes_xyxy_N4[index], content, lpips)
        for name, values in metrics.items():
            columns.setdefault(name, []).append(values.cpu().numpy())
        if not examples_png:
            inside = fill_padding(picture, target, content)
            masks = [m.float()[:, None].expand(-1, 3, -1, -1) for m in (mask & content, mask_prob * content)]
            examples_png = picture_strip([row[:N_EXAMPLES] for row in (target, inside, *masks)])
    frame = pd.DataFrame({name: np.concatenate(values) for name, values in columns.items()})
    frame.insert(0, "sample_hash", split.sample_hash)
    frame.insert(1, "split", "test")
    frame.insert(2, "scene", split.scene)
    return frame, examples_png


def compute_trivial_scores(data: StagedData, lpips: Lpips) -> dict[str, float]:
    """`baseline/<predictor>/<metric>`: predictors that ignore the input, fitted on train and scored on test."""
    train_targets = data.train.targets_N3HW.float() / 255
    target, n = data.test.targets_N3HW.float() / 255, len(data.test)
    columns = {}
    for name, fit in TRIVIAL_PREDICTORS.items():
        prediction = fit(train_targets, data.train.masks_NHW)
        metrics = compute_image_metrics(
            prediction.picture_3HW.expand(n, -1, -1, -1),
            prediction.mask_prob_HW.expand(n, -1, -1),
            target,
            data.test.masks_NHW,
            data.test.boxes_xyxy_N4,
            data.test.content_NHW,
            lpips,
        )
        columns |= {f"baseline/{name}/{metric}": values.double().mean().item() for metric, values in metrics.items()}
    return columns


def picture_strip(rows_N3HW: list[torch.Tensor], least_px: int = 64) -> bytes:
    """PNG of a grid of pictures in [0, 1]: one row for each tensor, small pictures enlarged to `least_px`."""
    grid = torch.cat([torch.cat(list(row), dim=2) for row in rows_N3HW], dim=1)
    pixels = (grid.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    image = Image.fromarray(pixels)
    factor = max(1, least_px // rows_N3HW[0].shape[-1])
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
