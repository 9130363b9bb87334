"""What a trial's learning curve says in two numbers: how steady the loss ends, and how soon it is near its end.

Of training losses, so neither depends on a test image. Both speak of the curve that was run: where the learning rate
falls to 0 at the end of every trial, a loss that still falls is no proof of more to come, nor is a steady one of none.
"""

from collections.abc import Sequence
from statistics import pvariance

N_LAST = 10  # epochs whose losses are compared
NEAR_END = 1.1  # times the final loss


def compute_loss_variance(losses: Sequence[float]) -> float | None:
    """Variance of the last ten epoch-mean losses; of fewer epochs than ten, all after the first.

    None where that leaves fewer than two.
    """
    last = losses[-N_LAST:] if len(losses) >= N_LAST else losses[1:]
    return pvariance(last) if len(last) > 1 else None


def compute_convergence_epoch(losses: Sequence[float]) -> int:
    """The first epoch, counted from 1, whose mean loss is below 1.1 times the final one. Losses are positive."""
    return next(epoch for epoch, loss in enumerate(losses, start=1) if loss < NEAR_END * losses[-1])
