"""The GPUs that a placement uses: all that packing asks of CUDA. Imported without torch, and sent to workers as it is."""

from dataclasses import dataclass
from typing import Protocol

MIB = 2**20


@dataclass(frozen=True)
class MemoryReading:
    """What this process holds of its GPU's memory, in MiB."""

    peak_mb: float  # the most that its allocator ever held, staged features and LPIPS included
    overhead_mb: float  # what lies outside the allocator: CUDA's context, loaded kernels
    total_mb: float  # of the GPU


class Accelerator(Protocol):
    """What a process that trains on a GPU is told to do with it."""

    @property
    def device(self) -> str:
        """Torch's name of it."""
        ...

    def read(self) -> MemoryReading:
        """To be asked where nothing else runs on the GPU: what others hold of it cannot be told from the overhead."""
        ...

    def cap(self, share: float, overhead_mb: float) -> None:
        """From here on this process, with its overhead, gets at most that share of the GPU's memory."""
        ...


@dataclass(frozen=True)
class Cuda:
    """The GPU that Ray shows to this process."""

    device: str = "cuda"

    def read(self) -> MemoryReading:
        import torch

        free, total = torch.cuda.mem_get_info()
        overhead = total - free - torch.cuda.memory_reserved()
        return MemoryReading(torch.cuda.max_memory_reserved() / MIB, overhead / MIB, total / MIB)

    def cap(self, share: float, overhead_mb: float) -> None:
        import torch

        # The fraction is of what torch's allocator may take, and the context is outside of it.
        total_mb = torch.cuda.mem_get_info()[1] / MIB
        torch.cuda.set_per_process_memory_fraction(max(0.0, share - overhead_mb / total_mb))


CUDA = Cuda()
