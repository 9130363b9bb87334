"""The training loop: a generator that yields one plain row per epoch and knows nothing of Ray, Parquet or Optuna."""

import math
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from foresight.features.stage import StagedData, StagedSplit
from foresight.seeding import keyed_seed, seeded_generator
from foresight.train.parallel import Ranks
from foresight.train.plateau import Plateau
from foresight.train.precision import autocast
from foresight.train.schedules import SCHEDULES, Length
from foresight.train.task import Task
from foresight.train.weights import load_trained_state, trained_state

Row = dict[str, float]


class DivergedError(RuntimeError):
    """The loss stopped being a number. The trial has failed; the sweep goes on."""


class ToldToEndError(Exception):
    """The training was told to end before its end (`Ranks.told_to_end`)."""


@dataclass(frozen=True)
class Ended:
    """How a training ended: the epoch whose weights the model has, and whether its criterion ended it."""

    kept_epoch: int  # counted from 1
    converged: bool | None  # None: its length was fixed beforehand
    epochs: list[Row]  # every epoch's row, those before a resumption included
    n_before: int  # of them before the resumption, in another process


@dataclass(frozen=True)
class Best:
    """The best epoch so far by the task's score, with its weights."""

    score: float
    epoch: int
    weights: dict[str, Tensor]


class SavedTraining(Protocol):
    """Where a training is put away after its epochs, and taken up again: `foresight.train.checkpoint`."""

    def resume(self, training: "Training") -> None:
        """Puts a new training where a saved one stood; leaves it as it is where none was saved."""

    def keep(self, training: "Training") -> None:
        """Saves the training as it stands after an epoch, where that is due."""


@dataclass
class Training:
    """One training as it stands between two epochs. Trains `model` in place."""

    task: Task
    model: nn.Module
    data: StagedData
    ranks: Ranks
    epoch: int = 0  # epochs behind
    step: int = 0  # of the optimiser
    elapsed_s: float = 0.0  # of training and validation
    rows: list[Row] = field(default_factory=list)
    best: Best | None = None
    n_before: int = 0  # epochs that it was resumed after

    def __post_init__(self) -> None:
        self.config, self.seed = self.task.config.recipe, self.task.config.seed
        torch.manual_seed(keyed_seed(self.seed, "dropout"))
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=self.config.lr, weight_decay=self.config.weight_decay, fused=True
        )
        patience = self.config.patience
        self.plateau = Plateau(patience, self.model, self.optimiser) if patience is not None else None
        self.images_per_step = self.config.batch_size * self.config.accumulate
        steps_per_epoch = math.ceil(len(self.data.train) / self.images_per_step)
        self.length = Length(self.config.epochs * steps_per_epoch, steps_per_epoch)

    @property
    def is_over(self) -> bool:
        return self.epoch == self.config.epochs or (self.plateau is not None and self.plateau.converged)

    def train_epoch(self) -> Row:
        """The next epoch, whose row it returns. Raises DivergedError."""
        started = time.perf_counter()
        self.epoch += 1
        self.model.train()
        if self.ranks.size > 1:  # of each process and epoch its own, so that nothing of the others has to be saved
            torch.manual_seed(keyed_seed(self.seed, "dropout", f"rank {self.ranks.rank}", f"epoch {self.epoch}"))
        first_step = self.step
        totals = self.ranks.add(self._take_steps())
        row = {f"train/{name}": (total / len(self.data.train)).item() for name, total in totals.items()}
        if self.ranks.is_first:
            row |= {f"val/{name}": value for name, value in self.task.validate(self.model, self.data.val).items()}
        score = self.task.score(row) if self.ranks.is_first else None
        val_loss, scored, best_score = self.ranks.from_first(
            [row.get("val/loss", math.nan), float(score is not None), score or 0.0]
        )
        for loss in (row["train/loss"], val_loss):
            if not math.isfinite(loss):  # what an epoch's last step broke shows in the second alone
                raise DivergedError(f"the loss became {loss} between steps {first_step + 1} and {self.step}")
        if self.plateau:
            self.plateau.end_epoch(self.epoch, val_loss)
        if scored and (self.best is None or best_score >= self.best.score):
            weights = {name: tensor.clone() for name, tensor in trained_state(self.model).items()}
            self.best = Best(best_score, self.epoch, weights)
        self.elapsed_s += time.perf_counter() - started
        self.rows.append({"epoch": self.epoch, "step": self.step, "wall_s": self.elapsed_s, **row})
        return self.rows[-1]

    def finish(self) -> Ended:
        """Gives the model the weights that are kept: of the best epoch where epochs are scored or the length is open."""
        converged = self.plateau.converged if self.plateau else None
        if self.best is not None:
            load_trained_state(self.model, self.best.weights)
            return Ended(self.best.epoch, converged, self.rows, self.n_before)
        if self.plateau is None:
            return Ended(self.config.epochs, None, self.rows, self.n_before)
        self.plateau.restore_best()
        return Ended(self.plateau.best_epoch, converged, self.rows, self.n_before)

    def _take_steps(self) -> dict[str, Tensor]:
        """One pass over the training images. Returns sums of every loss over this process's part of them."""
        config, seen = self.config, self.data.train_view(self.epoch)
        generator = seeded_generator(self.seed, "order", f"epoch {self.epoch}")
        order = torch.randperm(len(self.data.train), generator=generator)
        totals: dict[str, Tensor] = {}
        for images in order.split(self.images_per_step):
            rate_frac = SCHEDULES[config.schedule](self.step, self.length, config)
            for group in self.optimiser.param_groups:
                group["lr"] = config.lr * (rate_frac * (self.plateau.rate_frac if self.plateau else 1.0))
            self.optimiser.zero_grad(set_to_none=True)
            # Sums stay tensors: reading a number every step would stall a GPU.
            for name, total in self._add_gradients(seen, images).items():
                totals[name] = totals[name] + total if name in totals else total
            self.ranks.add_gradients(self.model)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.grad_clip)
            self.optimiser.step()
            self.step += 1
        return totals

    def _add_gradients(self, split: StagedSplit, images: Tensor) -> dict[str, Tensor]:
        """Adds this process's part of the gradient of the mean loss over `images`, taken in batches.

        Returns sums of every loss over its images.
        """
        task, totals = self.task, dict[str, Tensor]()
        for batch in images.split(self.config.batch_size):
            index = self.ranks.part(batch)
            if not len(index):
                continue
            with autocast(task.device, self.config.precision):
                done_frac = self.step / self.length.n_steps
                losses = task.losses(self.model, split, index.to(task.device), done_frac, batch.to(task.device))
            # Each part weighs as much as it has images, so that all are one large batch, the last and smaller included.
            (losses["loss"] * (len(index) / len(images))).backward()
            for name, value in losses.items():
                total = value.detach() * len(index)
                totals[name] = totals[name] + total if name in totals else total
        return totals


def train(
    task: Task, model: nn.Module, data: StagedData, ranks: Ranks | None = None, saved: SavedTraining | None = None
) -> Generator[Row, None, Ended]:
    """Trains in place. Yields `epoch, step, wall_s, train/*, val/*` after every epoch, epochs counted from 1.

    Data order and dropout are drawn from the block's seed, so all arms of a block see the same batches. A step is one of
    the optimiser; `accumulate` batches go into each. Where the task scores its epochs, the model ends with the weights of
    the best, the later of two alike. From `saved` it goes on bit for bit as it would have without a break, and yields the
    epochs before the break again, at once: whoever follows it may be new as well. Of several processes only the first has
    `val/*` in its rows and may save.
    Raises DivergedError, naming the steps between which the loss stopped being finite, and ToldToEndError.
    """
    training = Training(task, model, data, ranks or Ranks())
    if saved is not None:
        saved.resume(training)
    (first_epoch,) = training.ranks.from_first([training.epoch])
    if training.epoch != first_epoch:  # a file system showed this process an older file than the first
        raise RuntimeError(f"resumed after epoch {training.epoch} where the first process did after {first_epoch:.0f}")
    training.n_before = training.epoch
    n_told = 0
    while n_told < training.epoch or not training.is_over:
        if n_told == training.epoch:
            training.train_epoch()
            if saved is not None:
                saved.keep(training)
        yield training.rows[n_told]
        n_told += 1
        if training.ranks.all_told_to_end():
            raise ToldToEndError(f"told to end after epoch {n_told}")
    return training.finish()
