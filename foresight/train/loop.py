"""The training loop: a generator that yields one plain row per epoch and knows nothing of Ray, Parquet or Optuna."""

import math
import time
from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foresight.features.stage import StagedData, StagedSplit
from foresight.seeding import keyed_seed, seeded_generator
from foresight.train.plateau import Plateau
from foresight.train.precision import autocast
from foresight.train.schedules import SCHEDULES, Length
from foresight.train.task import Task
from foresight.train.weights import load_trained_state, trained_state


class DivergedError(RuntimeError):
    """The loss stopped being a number. The trial has failed; the sweep goes on."""


@dataclass(frozen=True)
class Ended:
    """How a training ended: the epoch whose weights the model has, and whether its criterion ended it."""

    kept_epoch: int  # counted from 1
    converged: bool | None  # None: its length was fixed beforehand


@dataclass(frozen=True)
class Best:
    """The best epoch so far by the task's score, with its weights."""

    score: float
    epoch: int
    weights: dict[str, Tensor]


def train(task: Task, model: nn.Module, data: StagedData) -> Generator[dict[str, float], None, Ended]:
    """Trains in place. Yields `epoch, step, wall_s, train/*, val/*` after every epoch, epochs counted from 1.

    Data order and dropout are drawn from the block's seed, so all arms of a block see the same batches. A step is one of
    the optimiser; `accumulate` batches go into each. Where the task scores its epochs, the model ends with the weights of
    the best, the later of two alike.
    Raises DivergedError, naming the steps between which the loss stopped being finite.
    """
    config, seed = task.config.recipe, task.config.seed
    torch.manual_seed(keyed_seed(seed, "dropout"))
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    n_train, images_per_step = len(data.train), config.batch_size * config.accumulate
    steps_per_epoch = math.ceil(n_train / images_per_step)
    length = Length(config.epochs * steps_per_epoch, steps_per_epoch)
    plateau = Plateau(config.patience, model, optimiser) if config.patience is not None else None
    step, started = 0, time.perf_counter()
    best: Best | None = None
    for epoch in range(1, config.epochs + 1):
        model.train()
        seen = data.train_view(epoch)
        order = torch.randperm(n_train, generator=seeded_generator(seed, "order", f"epoch {epoch}"))
        totals: dict[str, Tensor] = {}
        first_step = step
        for images in order.split(images_per_step):
            rate_frac = SCHEDULES[config.schedule](step, length, config) * (plateau.rate_frac if plateau else 1.0)
            for group in optimiser.param_groups:
                group["lr"] = config.lr * rate_frac
            optimiser.zero_grad(set_to_none=True)
            # Sums stay tensors: reading a number every step would stall a GPU.
            for name, total in _add_gradients(task, model, seen, images, step / length.n_steps).items():
                totals[name] = totals[name] + total if name in totals else total
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
            optimiser.step()
            step += 1
        row = {f"train/{name}": (total / n_train).item() for name, total in totals.items()}
        row |= {f"val/{name}": value for name, value in task.validate(model, data.val).items()}
        for loss_name in ("train/loss", "val/loss"):  # what an epoch's last step broke shows in the second alone
            if not math.isfinite(row[loss_name]):
                raise DivergedError(f"the loss became {row[loss_name]} between steps {first_step + 1} and {step}")
        if plateau:
            plateau.end_epoch(epoch, row["val/loss"])
        score = task.score(row)
        if score is not None and (best is None or score >= best.score):
            best = Best(score, epoch, {name: tensor.clone() for name, tensor in trained_state(model).items()})
        paused = time.perf_counter()
        yield {"epoch": epoch, "step": step, "wall_s": paused - started, **row}
        started += time.perf_counter() - paused  # what the consumer did meanwhile is not training
        if plateau and plateau.converged:
            break
    converged = plateau.converged if plateau else None
    if best is not None:
        load_trained_state(model, best.weights)
        return Ended(best.epoch, converged)
    if plateau is None:
        return Ended(config.epochs, None)
    plateau.restore_best()
    return Ended(plateau.best_epoch, plateau.converged)


def _add_gradients(
    task: Task, model: nn.Module, split: StagedSplit, images: Tensor, done_frac: float
) -> dict[str, Tensor]:
    """Adds the gradient of the mean loss over `images`, taken in batches. Returns sums of every loss over the images."""
    config, totals = task.config.recipe, dict[str, Tensor]()
    for index in images.split(config.batch_size):
        with autocast(task.device, config.precision):
            losses = task.losses(model, split, index.to(task.device), done_frac)
        # Each batch weighs as much as it has images, so that several are one large batch, the last and smaller included.
        (losses["loss"] * (len(index) / len(images))).backward()
        for name, value in losses.items():
            total = value.detach() * len(index)
            totals[name] = totals[name] + total if name in totals else total
    return totals
