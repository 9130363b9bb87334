"""Several processes that train one model: each takes its part of every batch, and all take the same step.

The batch is that of the config, however many processes share it, and their gradients add up to the one that a single
process would have: numbers agree to the last digits of the sums. What is drawn at random in training is another draw:
dropout, of which every process has its own.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor, nn


class LostPeerError(RuntimeError):
    """Another process of the training has gone, or cannot be reached. It says nothing of the trial: it may be tried again."""


def never() -> bool:
    """Nobody tells a training to end."""
    return False


@dataclass
class Ranks:
    """The processes of one training, as one of them sees it; the first validates, measures and writes.

    More than one needs `torch.distributed` with a backend for the CPU and one for the device. All of them have to make
    the same calls in the same order; they raise LostPeerError when another process is lost.
    """

    rank: int = 0
    size: int = 1
    told_to_end: Callable[[], bool] = never  # asked by the first after every epoch
    # The parameters that a gradient reaches.
    _reached: list[nn.Parameter] = field(default_factory=list, init=False, repr=False)

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def part(self, batch: Tensor) -> Tensor:
        """This process's images of a batch: as many as another's, or one more. A last, small batch may leave it none."""
        return batch.tensor_split(self.size)[self.rank]

    def add_gradients(self, model: nn.Module) -> None:
        """Gives every process the sum of all gradients. The first batch of a training must leave no process without one.

        A parameter that no loss reaches keeps none: a step of the optimiser then leaves it alone.
        """
        if self.size == 1:
            return
        if not self._reached:
            self._reached = [parameter for parameter in model.parameters() if parameter.grad is not None]
        for parameter in self._reached:
            if parameter.grad is None:  # this process had no image of the batch
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in self._reached if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        with _together():
            dist.all_reduce(flat)
        for gradient, total in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(total.view_as(gradient))

    def add(self, totals: dict[str, Tensor]) -> dict[str, Tensor]:
        """Scalars by name, summed over the processes; all have the same names."""
        if self.size == 1:
            return totals
        summed = torch.stack([totals[name].double() for name in sorted(totals)])
        with _together():
            dist.all_reduce(summed)
        return dict(zip(sorted(totals), summed, strict=True))

    def from_first(self, values: Sequence[float]) -> list[float]:
        """What the first process gave, in all of them; the others give as many numbers of any value."""
        if self.size == 1:
            return list(values)
        sent = torch.tensor(values, dtype=torch.float64)
        with _together():
            dist.broadcast(sent, src=0)
        return sent.tolist()

    def all_told_to_end(self) -> bool:
        """Whether the training is told to end now, the same answer in every process."""
        return bool(self.from_first([float(self.is_first and self.told_to_end())])[0])


@contextlib.contextmanager
def _together() -> Iterator[None]:
    """Around a call that all processes make. Gloo raises a plain RuntimeError where a peer is lost, NCCL one of its own kind.

    Where one is lost Ray Train takes down the group under the others before it ends them, and torch raises what it will.
    """
    try:
        yield
    except (torch.OutOfMemoryError, torch.AcceleratorError):  # this process's own
        raise
    except Exception as error:
        if dist.is_initialized() and not isinstance(error, RuntimeError):
            raise
        raise LostPeerError(f"another worker of the training was lost: {error}") from error
