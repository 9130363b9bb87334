"""Training to a criterion: schedule `plateau` cuts the learning rate once where the validation loss stalls, then ends.

A small and a large model need different numbers of steps, so one length for both leaves one of them short of its end and
compares lengths, not sizes. The validation images choose the weights that are kept; the test images choose nothing.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from foresight.train.weights import load_trained_state, trained_state

LEAST_GAIN_FRAC = 0.01  # a loss that falls by less is no better
CUT = 5  # the rate is divided by this at the first plateau; the second ends the training


@dataclass(frozen=True)
class PlateauState:
    """Where a plateau's watch stands after an epoch: numbers by name, and the best epoch's weights and optimiser."""

    numbers: dict[str, float]
    weights: dict[str, Tensor]
    optimiser: dict[str, Any]


class Plateau:
    """Watches one training: keeps its best weights, and says what share of the learning rate is left and when to end."""

    def __init__(self, patience: int, model: nn.Module, optimiser: torch.optim.Optimizer):
        self.patience, self.model, self.optimiser = patience, model, optimiser
        self.rate_frac = 1.0
        self.converged = False
        self.best_epoch = 0
        self._best_loss = math.inf
        self._best: tuple[dict[str, Any], dict[str, Any]] | None = None  # states of the model and the optimiser
        self._reference = math.inf  # what a loss must fall below by LEAST_GAIN_FRAC to count as better
        self._n_waited = 0

    def end_epoch(self, epoch: int, val_loss: float) -> None:
        """Takes the validation loss of an epoch, counted from 1."""
        if val_loss < self._best_loss:
            self._best_loss, self.best_epoch = val_loss, epoch
            self._best = copy.deepcopy((trained_state(self.model), self.optimiser.state_dict()))
        if val_loss < (1 - LEAST_GAIN_FRAC) * self._reference:
            self._reference, self._n_waited = val_loss, 0
        else:
            self._n_waited += 1
        if self._n_waited < self.patience:
            return
        if self.rate_frac < 1:
            self.converged = True
        else:
            self.restore_best()
            self.rate_frac, self._reference, self._n_waited = 1 / CUT, self._best_loss, 0

    def restore_best(self) -> None:
        """Puts the weights of the best epoch back, with the optimiser's state at that time."""
        assert self._best is not None, "no epoch has ended yet"
        model_state, optimiser_state = copy.deepcopy(self._best)
        load_trained_state(self.model, model_state)
        self.optimiser.load_state_dict(optimiser_state)

    def state(self) -> PlateauState:
        """Where the watch stands after an epoch; the tensors themselves."""
        assert self._best is not None, "no epoch has ended yet"
        numbers = {
            "rate_frac": self.rate_frac,
            "converged": float(self.converged),
            "best_epoch": self.best_epoch,
            "best_loss": self._best_loss,
            "reference": self._reference,
            "n_waited": self._n_waited,
        }
        return PlateauState(numbers, *self._best)

    def put_back(self, state: PlateauState) -> None:
        """Goes on where the watch of another process stood."""
        numbers = state.numbers
        self.rate_frac, self.converged = numbers["rate_frac"], bool(numbers["converged"])
        self.best_epoch, self._n_waited = int(numbers["best_epoch"]), int(numbers["n_waited"])
        self._best_loss, self._reference = numbers["best_loss"], numbers["reference"]
        self._best = (state.weights, state.optimiser)
