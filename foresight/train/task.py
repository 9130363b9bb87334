"""Task: what a kind of trial trains and measures. The loop, the sensitivity check and the recorder know no more of it.

A new kind is a subclass and a line of `foresight.train.trial.TASKS`. A kind that trains nothing is a Measurement, and a
line of `foresight.train.trial.MEASUREMENTS`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from foresight.config import TrialConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.features.stage import StagedData, StagedSplit
from foresight.metrics.lpips import Lpips
from foresight.models.bridge import Features
from foresight.models.initialise import initialise
from foresight.set_hash import compute_set_hash

EVAL_BATCH = 64


@dataclass(frozen=True)
class Context:
    """What a process keeps between trials, and where it finds more. Nothing of it may change a number."""

    device: str
    lpips: Lpips | None = None  # None: nothing is measured with it
    cache: Path | None = None  # the feature cache
    runs: Path | None = None  # the run logs, for a task that continues another study's trial
    roots: Mapping[str, Path] = field(default_factory=dict)  # folders of data sets, by the data set's name
    encoders: dict[str, nn.Module] = field(default_factory=dict)  # built by an earlier trial, for one that runs them
    gpus: float = 1.0  # that a trial on GPUs occupies: a share of one, or several


@dataclass
class Evaluation:
    """What a trained model scored on held-out data."""

    samples: pd.DataFrame  # a row per test image: sample_hash, split, scene, per-image metrics
    columns: dict[str, Any]  # of the trial's row
    pictures: dict[str, bytes]  # PNG by name; `examples` is shown in the report
    metric_names: list[str]  # names of METRICS whose values stand in `columns` as `test/<name>`


@dataclass
class TrialResult:
    """What a trial leaves: columns of its row, a row per test item, pictures, and the trained model's weights."""

    columns: dict[str, Any]
    samples: pd.DataFrame
    pictures: dict[str, bytes]
    epochs: list[dict[str, float]] = field(default_factory=list)
    weights: dict[str, torch.Tensor] = field(default_factory=dict)


class TrialKind(ABC):
    """One trial's model. Made for a config; it holds no state of the training."""

    def __init__(self, config: TrialConfig, context: Context):
        self.config, self.context, self.device = config, context, context.device

    @abstractmethod
    def assemble(self, shapes: FeatureShapes) -> nn.Module:
        """The model for features of these shapes, its weights not yet drawn; a frozen part is without gradient."""

    def build(self, shapes: FeatureShapes) -> nn.Module:
        """The model with the weights of the trial's block, on the device."""
        model = self.assemble(shapes)
        initialise(model, self.config.seed)
        return model.to(self.device)

    @abstractmethod
    def count_flops(self, model: nn.Module, one_image: Features) -> float:
        """Floating-point operations of the model for one image (a multiply-add counts as two)."""

    def decoder(self, model: nn.Module) -> nn.Module | None:
        """The part whose parameters are counted apart; None: there is none."""
        return None

    def trained_before(self, model: nn.Module) -> nn.Module | None:
        """The part that another trial has trained and this one keeps as it is; None: there is none."""
        return None


class Measurement(TrialKind):
    """A kind of trial that trains nothing."""

    @abstractmethod
    def run(self) -> TrialResult:
        """The whole trial: its row, without the epochs and weights that it does not have."""


class Task(TrialKind):
    """A kind of trial that trains: one trial's loss and metrics."""

    def restore(self, model: nn.Module) -> None:
        """Before the training: gives the model what another trial has trained of it. Most tasks start from nothing."""
        return

    @abstractmethod
    def losses(
        self, model: nn.Module, split: StagedSplit, index: Tensor, done_frac: float, batch: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Scalars of one batch. `loss` is minimised, the others are logged; `done_frac` of the training is behind.

        `batch`: all images of the batch, where `index` is the part of it that this process takes. The mean over all parts,
        each weighing as much as it has images, is what a single process would find.
        """

    @abstractmethod
    def validate(self, model: nn.Module, split: StagedSplit) -> dict[str, float]:
        """The learning curve's columns, without their `val/`; `loss` is one of them."""

    def score(self, row: dict[str, float]) -> float | None:
        """How good the model is after an epoch, by its row: the loop ends with the weights of the best epoch.

        None: with those of the last.
        """
        return None

    @abstractmethod
    def output(self, model: nn.Module, split: StagedSplit) -> Tensor:
        """[N, ...] in single precision: what the sensitivity check compares between arms."""

    @abstractmethod
    def evaluate(self, model: nn.Module, data: StagedData) -> Evaluation:
        """The final measurement on the test split."""


def set_hash(split: StagedSplit) -> str:
    """The hash over a split's images, by which its trial's row names it."""
    return compute_set_hash(split.sample_hash)
