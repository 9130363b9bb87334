"""GpuShare: the part of a GPU that a trial holds. Which part a need of memory asks for is a pure function of numbers."""

from dataclasses import dataclass

MOST_PARTS = 8  # trials on one GPU: beyond it they take each other's time more than they fill gaps

# Of what was measured, held free on top. The probe sees one epoch, and a trial many: the allocator's blocks break up as
# training goes on, a second copy of the best weights is made, and other seeds draw other batches. A share that is too small
# all the same costs a retry; one that is too large costs every trial of the arm.
MARGIN = 1.2
# Rows of finished trials say what was in use at most, and a process holds what its allocator keeps between uses as well.
KEPT_BY_ALLOCATOR = 1.2

RAY_UNITS = 10_000  # Ray counts resources in ten-thousandths


@dataclass(frozen=True)
class GpuShare:
    """One of `parts` equal parts of a GPU, of which `overhead_mb` are outside of torch's allocator."""

    parts: int
    overhead_mb: float = 0.0

    @property
    def frac(self) -> float:
        return 1 / self.parts

    @property
    def ray_gpus(self) -> float:
        """What Ray is asked for: rounded down, so that as many fit on a GPU as there are parts."""
        return RAY_UNITS // self.parts / RAY_UNITS

    @property
    def is_whole(self) -> bool:
        return self.parts == 1

    def __str__(self) -> str:
        return "a whole GPU" if self.is_whole else f"1/{self.parts} of a GPU"


def choose_parts(need_mb: float, gpu_mb: float, too_small_mb: float = 0.0) -> int:
    """The most parts of which each holds the need with its margin, and more than was too small before; 1 if none does."""
    for parts in range(MOST_PARTS, 1, -1):
        part_mb = gpu_mb / parts
        if part_mb >= need_mb * MARGIN and part_mb > too_small_mb:
            return parts
    return 1
