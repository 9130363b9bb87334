"""GPUs that are pretended on a CPU: a memory that is read as it is told, and trainings that run out of it for real."""

import time
from dataclasses import dataclass
from pathlib import Path

from foresight.tuning.accelerator import MemoryReading

GPU_MB, OVERHEAD_MB, PEAK_MB = 1000.0, 10.0, 150.0  # what every probe reads: 1.2 x 160 fits five times
# What trainings take from their second epoch on, by the number of queries; the probe has seen the first alone.
NEEDS_MB = {16: 150.0, 32: 230.0}
WAIT_S = 600.0


@dataclass(frozen=True)
class PretendedGpu:
    """`folder`: where the processes that share a GPU find each other."""

    folder: Path
    device: str = "cpu"

    def read(self) -> MemoryReading:
        return MemoryReading(PEAK_MB, OVERHEAD_MB, GPU_MB)

    def cap(self, share: float, overhead_mb: float) -> None:
        """The process may take no more from here on; and it trains only beside another one, or its trial fails."""
        import os

        import torch

        from foresight.train.loop import Training

        limit_mb, train_epoch = share * GPU_MB - overhead_mb, Training.train_epoch
        self.folder.mkdir(exist_ok=True)

        def train_if_it_fits(training: Training) -> dict[str, float]:
            # Not before: both begin together, or one could be through two trials while the other still loads its data.
            (self.folder / str(os.getpid())).touch()
            until = time.monotonic() + WAIT_S
            while len(list(self.folder.iterdir())) < 2:
                assert time.monotonic() < until, "no other trial ran beside this one"
                time.sleep(0.05)
            need_mb = NEEDS_MB[training.task.config.fusion.queries]
            if training.epoch > 0 and need_mb > limit_mb:
                raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {need_mb:.0f} MiB")
            return train_epoch(training)

        Training.train_epoch = train_if_it_fits
