"""The training loop: a generator that yields one plain row per epoch and knows nothing of Ray, Parquet or Optuna."""

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from foresight.features.stage import StagedData
from foresight.seeding import keyed_seed, seeded_generator
from foresight.train.precision import autocast
from foresight.train.task import Task


class DivergedError(RuntimeError):
    """The loss stopped being a number. The trial has failed; the sweep goes on."""


def learning_rate_factor(step: int, n_steps: int, warmup_frac: float) -> float:
    """Linear from 0 to 1 over the warm-up, then a cosine to 0."""
    n_warmup = warmup_frac * n_steps
    if step < n_warmup:
        return (step + 1) / (n_warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - n_warmup) / (n_steps - n_warmup)))


def train(task: Task, model: nn.Module, data: StagedData) -> Iterator[dict[str, float]]:
    """Trains in place. Yields `epoch, step, wall_s, train/*, val/*` after every epoch, epochs counted from 1.

    Data order and dropout are drawn from the block's seed, so all arms of a block see the same batches. When the last row
    has been taken, the model gets the weights of the epoch that `kept_row` names.
    Raises DivergedError, naming the steps between which the loss stopped being finite.
    """
    config, seed, device = task.config.train, task.config.seed, task.device
    torch.manual_seed(keyed_seed(seed, "dropout"))
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    n_train = len(data.train)
    n_steps = config.epochs * math.ceil(n_train / config.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: learning_rate_factor(step, n_steps, config.warmup_frac)
    )
    step, started = 0, time.perf_counter()
    rows: list[dict[str, float]] = []
    kept: dict[str, Tensor] = {}  # weights of the best epoch so far, where a task scores them
    for epoch in range(1, config.epochs + 1):
        model.train()
        order = torch.randperm(n_train, generator=seeded_generator(seed, "order", f"epoch {epoch}"))
        totals: dict[str, Tensor] = {}
        first_step = step
        for index in order.split(config.batch_size):
            with autocast(device, config.precision):
                losses = task.losses(model, data.train, index.to(device), step / n_steps)
            optimiser.zero_grad(set_to_none=True)
            losses["loss"].backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
            optimiser.step()
            schedule.step()
            step += 1
            # Sums stay tensors: reading a number every step would stall a GPU.
            for name, value in losses.items():
                totals[name] = totals.get(name, torch.zeros((), device=device)) + value.detach() * len(index)
        row = {f"train/{name}": (total / n_train).item() for name, total in totals.items()}
        row |= {f"val/{name}": value for name, value in task.validate(model, data.val).items()}
        for loss_name in ("train/loss", "val/loss"):  # what an epoch's last step broke shows in the second alone
            if not math.isfinite(row[loss_name]):
                raise DivergedError(f"the loss became {row[loss_name]} between steps {first_step + 1} and {step}")
        rows.append({"epoch": epoch, "step": step, **row})
        if task.score(row) is not None and kept_row(task, rows) is rows[-1]:
            kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        paused = time.perf_counter()
        yield {"epoch": epoch, "step": step, "wall_s": paused - started, **row}
        started += time.perf_counter() - paused  # what the consumer did meanwhile is not training
    if kept:
        model.load_state_dict(kept)


def kept_row(task: Task, rows: list[dict[str, float]]) -> dict[str, float]:
    """The row of the epoch whose weights are kept: the best by the task's score, the later of two alike; else the last."""
    if task.score(rows[-1]) is None:
        return rows[-1]
    return max(rows, key=lambda row: (task.score(row), row["epoch"]))
