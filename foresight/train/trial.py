"""One trial, whole: staged features -> model -> training -> test metrics. Yields epoch rows, returns the result."""

import hashlib
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import nn

from foresight.config import TrialConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.features.stage import StagedData, StagedSplit
from foresight.metrics import METRICS
from foresight.metrics.cost import count_parameters
from foresight.train.curve import compute_convergence_epoch, compute_loss_variance
from foresight.train.loop import train
from foresight.train.ltx_reconstruction import LtxReconstruction
from foresight.train.reconstruction import Reconstruction
from foresight.train.task import Context, Task

TASKS: dict[str, type[Task]] = {"reconstruction": Reconstruction}


def build_task(config: TrialConfig, context: Context) -> Task:
    """The task that a config names; a reconstruction that LTX-Video draws is trained and measured in a way of its own."""
    if config.task == "reconstruction" and config.decoder.name == "ltx":
        return LtxReconstruction(config, context)
    return TASKS[config.task](config, context)


@dataclass
class TrialResult:
    """What a trial leaves: columns of its row, per-image metrics, example pictures, and the trained model's weights."""

    columns: dict[str, Any]
    samples: pd.DataFrame
    pictures: dict[str, bytes]
    epochs: list[dict[str, float]] = field(default_factory=list)
    weights: dict[str, torch.Tensor] = field(default_factory=dict)


def run_trial(
    config: TrialConfig, data: StagedData, context: Context
) -> Generator[dict[str, float], None, TrialResult]:
    """Trains and measures one trial.

    Raises DivergedError when the loss stops being a number, and ValueError when a counted parameter gets no gradient.
    """
    started = time.perf_counter()
    on_gpu = torch.device(context.device).type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(context.device)
    task = build_task(config, context)
    model = task.build(shapes_of(data))
    columns: dict[str, Any] = count_parameters(
        model, task.decoder(model), probe_gradients(task, model, data), data.n_encoder_params
    )
    columns["cost/budget_params"] = config.adapter.budget_params if config.bridge == "adapter" else None
    columns["cost/flops"] = task.count_flops(model, data.test.features[:1])
    epochs: list[dict[str, float]] = []
    for row in train(task, model, data):
        epochs.append(row)
        paused = time.perf_counter()
        yield row
        started += time.perf_counter() - paused  # what the consumer did meanwhile is not the trial's
    train_s = epochs[-1]["wall_s"]
    evaluation = task.evaluate(model, data)
    columns |= evaluation.columns
    columns |= {name: value for name, value in epochs[-1].items() if name.startswith("val/")}
    losses = [row["train/loss"] for row in epochs]
    columns |= {
        "train/loss_variance": compute_loss_variance(losses),
        "train/convergence_epoch": compute_convergence_epoch(losses),
        "cost/train_s": train_s,
        "cost/trial_s": time.perf_counter() - started,
        "cost/gpu_s": train_s if on_gpu else 0.0,
        # Not measured on a CPU: a reused process only knows the most that any of its trials ever took.
        "cost/peak_memory_mb": torch.cuda.max_memory_allocated(context.device) / 2**20 if on_gpu else None,
        "data/n_train": len(data.train),
        "data/n_val": len(data.val),
        "data/n_test": len(data.test),
        "data/train_hash": set_hash(data.train),
        "data/test_hash": set_hash(data.test),
        "env/lpips_trunk": context.lpips.trunk,
        "env/metric_ids": " ".join(METRICS[name].id for name in evaluation.metric_names),
    }
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    weights = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items() if name not in frozen}
    return TrialResult(columns, evaluation.samples, evaluation.pictures, epochs, weights)


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


def probe_gradients(task: Task, model: nn.Module, data: StagedData) -> set[str]:
    """Names of the parameters that a loss on four training images reaches. Leaves no gradient behind."""
    model.eval()
    index = torch.arange(min(4, len(data.train)), device=task.device)
    task.losses(model, data.train, index, done_frac=0.0)["loss"].backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}
    model.zero_grad(set_to_none=True)
    return reached
