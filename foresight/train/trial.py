"""One trial, whole: staged features -> model -> training -> test metrics. Yields epoch rows, returns the result."""

import importlib
import time
from collections.abc import Generator
from typing import Any

import torch
from torch import nn

from foresight.config import TrialConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.features.stage import StagedData
from foresight.metrics import METRICS
from foresight.metrics.cost import count_parameters
from foresight.train.component_latency import ComponentLatency
from foresight.train.curve import compute_convergence_epoch, compute_loss_variance
from foresight.train.detection import Detection
from foresight.train.end_to_end import EndToEnd
from foresight.train.loop import Ended, SavedTraining, train
from foresight.train.ltx_reconstruction import LtxReconstruction
from foresight.train.parallel import Ranks
from foresight.train.probe import SpatialProbe
from foresight.train.reconstruction import Reconstruction
from foresight.train.task import Context, Measurement, Task, TrialResult, set_hash
from foresight.train.weights import trained_state

TASKS: dict[str, type[Task]] = {
    "reconstruction": Reconstruction,
    "probe": SpatialProbe,
    "detection": Detection,
    "end_to_end": EndToEnd,
}
MEASUREMENTS: dict[str, type[Measurement]] = {"latency": ComponentLatency}  # these train nothing
# What losses and metrics import where they need it, as it takes longer than torch, and a plan that counts models needs none.
OF_LOSSES_AND_METRICS = ("scipy.optimize", "torchvision.ops", "torchmetrics.functional.image", "pycocotools.cocoeval")


def build_task(config: TrialConfig, context: Context) -> Task:
    """The task of a config that trains; a reconstruction that LTX-Video draws is trained and measured in a way of its own."""
    if config.task == "reconstruction" and config.decoder.name == "ltx":
        return LtxReconstruction(config, context)
    return TASKS[config.task](config, context)


def run_trial(
    config: TrialConfig,
    data: StagedData | None,
    context: Context,
    saved: SavedTraining | None = None,
    ranks: Ranks | None = None,
) -> Generator[dict[str, float], None, TrialResult]:
    """Trains and measures one trial; one that trains nothing needs no data and yields no epoch.

    Its training goes on from `saved` where that holds it. Of several `ranks` this is the first; `help_train` is what the
    others do. Raises DivergedError when the loss stops being a number, ValueError when a counted parameter gets no
    gradient, and ToldToEndError.
    """
    if not config.is_trained:
        return MEASUREMENTS[config.task](config, context).run()
    assert data is not None
    import_libraries()
    started = time.perf_counter()
    on_gpu = torch.device(context.device).type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(context.device)
    task = build_task(config, context)
    model = task.build(shapes_of(data))
    columns: dict[str, Any] = count_parameters(
        model,
        task.decoder(model),
        probe_gradients(task, model, data),
        data.n_encoder_params,
        task.trained_before(model),
    )
    columns["cost/budget_params"] = config.adapter.budget_params if config.bridge == "adapter" else None
    columns["cost/flops"] = task.count_flops(model, data.test.features[:1])
    task.restore(model)
    training = train(task, model, data, ranks, saved)
    while True:
        try:
            row = next(training)
        except StopIteration as end:
            ended: Ended = end.value
            break
        paused = time.perf_counter()
        yield row
        started += time.perf_counter() - paused  # what the consumer did meanwhile is not the trial's
    epochs, train_s = ended.epochs, ended.epochs[-1]["wall_s"]
    earlier_s = epochs[ended.n_before - 1]["wall_s"] if ended.n_before else 0.0  # of another process, which died
    evaluation = task.evaluate(model, data)
    columns |= evaluation.columns
    kept = epochs[ended.kept_epoch - 1]
    columns |= {name: value for name, value in kept.items() if name.startswith("val/")}
    losses = [row["train/loss"] for row in epochs]
    columns |= {
        "train/loss_variance": compute_loss_variance(losses),
        "train/convergence_epoch": compute_convergence_epoch(losses),
        "train/epochs_run": len(epochs),
        "train/kept_epoch": ended.kept_epoch,
        "train/converged": None if ended.converged is None else float(ended.converged),
        "cost/train_s": train_s,
        "cost/trial_s": earlier_s + time.perf_counter() - started,
        "cost/gpu_s": train_s * context.gpus if on_gpu else 0.0,
        # Not measured on a CPU: a reused process only knows the most that any of its trials ever took.
        "cost/peak_memory_mb": torch.cuda.max_memory_allocated(context.device) / 2**20 if on_gpu else None,
        "data/n_train": data.train.n_samples,
        "data/n_val": data.val.n_samples,
        "data/n_test": data.test.n_samples,
        "data/train_hash": set_hash(data.train),
        "data/val_hash": set_hash(data.val),
        "data/test_hash": set_hash(data.test),
        "env/resumed_s": earlier_s or None,  # of `cost/trial_s`: spent by processes that were lost
        "env/lpips_trunk": context.lpips.trunk,
        "env/metric_ids": " ".join(METRICS[name].id for name in evaluation.metric_names),
    }
    if on_gpu:
        columns["env/refused_allocations"] = torch.cuda.memory_stats(context.device)[
            "num_ooms"
        ]  # in this process so far
    weights = {name: tensor.detach().cpu() for name, tensor in trained_state(model).items()}
    return TrialResult(columns, evaluation.samples, evaluation.pictures, epochs, weights)


def help_train(config: TrialConfig, data: StagedData, context: Context, saved: SavedTraining, ranks: Ranks) -> None:
    """Takes this process's part in a training whose first process runs `run_trial`. Raises as `train` does."""
    import_libraries()
    task = build_task(config, context)
    model = task.build(shapes_of(data))
    task.restore(model)
    for _ in train(task, model, data, ranks, saved):
        pass


def import_libraries() -> None:
    """Before a trial's time begins: else the first trial of every process would seem seconds slower than the others."""
    for name in OF_LOSSES_AND_METRICS:
        importlib.import_module(name)


def shapes_of(data: StagedData) -> FeatureShapes:
    """The feature shapes that the staged tokens really have."""
    features = data.train.features
    return FeatureShapes(
        features.vlm_BVC.shape[-1],
        round(features.vlm_BVC.shape[1] ** 0.5),
        features.spatial_BSC.shape[-1],
        round(features.spatial_BSC.shape[1] ** 0.5),
    )


def probe_gradients(task: Task, model: nn.Module, data: StagedData) -> set[str]:
    """Names of the parameters that a loss on four training images reaches. Leaves no gradient behind."""
    model.eval()
    index = torch.arange(min(4, len(data.train)), device=task.device)
    task.losses(model, data.train, index, done_frac=0.0)["loss"].backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}
    model.zero_grad(set_to_none=True)
    return reached
