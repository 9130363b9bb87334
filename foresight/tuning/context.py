"""What a process that runs trials keeps between them."""

from typing import TYPE_CHECKING

from foresight.metrics.lpips_trunk import find_trunk
from foresight.tuning.sweep import Placement

if TYPE_CHECKING:
    from foresight.train.task import Context


def worker_context(placement: Placement) -> "Context":
    """The context of this process; on a CPU it computes with one thread.

    Two processes of one thread beat one of two by 1.1 to 3.9 times, and another number of threads moves last digits.
    """
    import torch

    from foresight.metrics.lpips import load_lpips
    from foresight.train.task import Context

    if placement.device == "cpu":
        torch.set_num_threads(1)
    lpips = load_lpips(find_trunk(), placement.device)
    return Context(placement.device, lpips, placement.cache, placement.runs, placement.roots)
