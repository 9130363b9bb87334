"""`python -m benchmarks`: how much a sweep costs beyond training, and how fast it trains, against plain Ray and PyTorch.

Every ratio comes from one run on one machine: seconds depend on the machine, ratios hardly do.
"""

import platform
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.overhead import measure_overhead
from benchmarks.training import measure_training


def main(
    trials: Annotated[int, typer.Option(min=4, help="Trials of each system that reuses its processes.")] = 200,
    fresh_trials: Annotated[int, typer.Option(min=2, help="Trials of the one that starts a process each.")] = 10,
) -> None:
    """Measures and prints both tables."""
    console = Console(width=110)
    console.print(f"{platform.machine()}, Python {platform.python_version()}, 2 trials at a time, one thread each\n")
    with tempfile.TemporaryDirectory(prefix="foresight-bench-") as scratch:
        overhead = Table(title="Overhead in slot-seconds: wall x slots - work", title_justify="left")
        for heading in (
            "system",
            "trials",
            "wall s",
            "work s",
            "start-up s",
            "a trial",
            "a trial after start-up",
            "ratio of that",
        ):
            overhead.add_column(heading)
        rows = measure_overhead(Path(scratch), trials, fresh_trials)
        for row in rows:
            overhead.add_row(
                row.system,
                str(len(row.work_s)),
                f"{row.wall_s:.1f}",
                f"{sum(row.work_s):.1f}",
                f"{row.startup_s:.1f}",
                f"{row.overhead_s:.3f}",
                f"{row.steady_overhead_s:.3f}",
                f"{row.steady_overhead_s / rows[0].steady_overhead_s:.1f} x",
            )
        console.print(overhead)
        training = Table(
            "training loop", "alone s", "two at once s", "ratio alone", "ratio, two at once", title_justify="left"
        )
        training.title = "Training time of one trial, median of 3"
        times = measure_training(Path(scratch))
        for name, alone_s, together_s in times:
            training.add_row(
                name,
                f"{alone_s:.2f}",
                f"{together_s:.2f}",
                f"{alone_s / times[0][1]:.2f} x",
                f"{together_s / times[0][2]:.2f} x",
            )
        console.print(training)


if __name__ == "__main__":
    typer.run(main)
