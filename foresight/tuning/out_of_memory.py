"""Whether a trial failed for want of memory on its share of a GPU: then it is no failed row, and runs again on a larger one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foresight.tuning.record import Planned

# What is said of memory that CUDA's libraries take past torch's allocator, and where cuDNN got none for any algorithm.
LIBRARIES_SAY = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "unable to find an engine to execute this computation",
)

OUTGREW = "outgrew"  # in a trial's last result: the attempt that ran out of memory on its share
JUDGED = "judged"  # with it: the last epoch that a scheduler was told of


class OutgrownError(Exception):
    """The trial needs a larger share of a GPU. It has no row."""


def is_out_of_memory(error: BaseException) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(said in str(error) for said in LIBRARIES_SAY)
    )


def has_outgrown(planned: "Planned", error: BaseException) -> bool:
    """Whether a larger share of a GPU may help against the error."""
    return planned.share is not None and not planned.share.is_whole and is_out_of_memory(error)


def check_refused(planned: "Planned", columns: Mapping[str, Any]) -> None:
    """Raises OutgrownError for a trial that came to its end although its share refused memory to its process.

    cuDNN then takes an algorithm with less workspace, and keeps to it, whose last digits differ. Nothing of what ran beside
    a trial may show in its numbers, so such a process is never used again (`recorder`).
    """
    if planned.share is not None and not planned.share.is_whole and columns.get("env/refused_allocations"):
        raise OutgrownError
