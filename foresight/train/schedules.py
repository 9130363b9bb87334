"""How the learning rate runs: its share of the peak at every optimiser step."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from foresight.config import TrainConfig

HALF_CYCLE_EPOCHS = 5  # of `cyclic`: from the lowest rate to the highest
LOWEST_FRAC = 0.1  # of the peak, where a cycle begins


@dataclass(frozen=True)
class Length:
    """The longest that a training can be, in optimiser steps."""

    n_steps: int
    steps_per_epoch: int


def constant(step: int, length: Length, config: TrainConfig) -> float:
    return 1.0


def cosine(step: int, length: Length, config: TrainConfig) -> float:
    """Half a cosine from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * step / length.n_steps))


def warmup_cosine(step: int, length: Length, config: TrainConfig) -> float:
    """Linear from 0 to 1 over the warm-up, then half a cosine to 0."""
    n_warmup = config.warmup_frac * length.n_steps
    if step < n_warmup:
        return (step + 1) / (n_warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - n_warmup) / (length.n_steps - n_warmup)))


def cyclic(step: int, length: Length, config: TrainConfig) -> float:
    """Triangles from a tenth of the peak, the height of each half that of the one before (Smith 2017, `triangular2`)."""
    cycle, place = divmod(step / (HALF_CYCLE_EPOCHS * length.steps_per_epoch), 2)
    return LOWEST_FRAC + (1 - LOWEST_FRAC) * (1 - abs(place - 1)) / 2**cycle


def plateau(step: int, length: Length, config: TrainConfig) -> float:
    """Linear from 0 to 1 over the first epoch, then constant; what it is cut to later is `foresight.train.plateau`'s."""
    return min(1.0, (step + 1) / (length.steps_per_epoch + 1))


SCHEDULES: dict[str, Callable[[int, Length, TrainConfig], float]] = {
    "constant": constant,
    "cosine": cosine,
    "warmup_cosine": warmup_cosine,
    "cyclic": cyclic,
    "plateau": plateau,
}
