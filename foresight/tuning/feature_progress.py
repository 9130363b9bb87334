"""How far the feature cache is filled: a bar for each pass on a terminal, elsewhere a line now and then."""

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from foresight.tuning.progress import clock

PLAIN_INTERVAL_S = 15.0  # between two plain lines


@dataclass
class Pass:
    """Images of one request: all, still to do, and done since the display began."""

    label: str
    n_images: int
    n_left: int
    is_counted: bool  # or a single step, such as the decoding of a data set
    n_computed: int = 0

    def pace(self, elapsed_s: float) -> str:
        """`85 images/s, left 2:03`; empty before anything is done."""
        if not self.n_computed or not elapsed_s:
            return ""
        rate = self.n_computed / elapsed_s
        return f"{rate:,.0f} images/s, left {clock(self.n_left / rate)}"

    def line(self, elapsed_s: float) -> str:
        """Where it stands."""
        done = f"{self.n_images - self.n_left:,} of {self.n_images:,} images"
        state = [done, self.pace(elapsed_s)] if self.is_counted else [f"{self.n_images:,} images in one step"]
        return f"{self.label}: {', '.join([*filter(None, state), f'elapsed {clock(elapsed_s)}'])}"


class FeatureProgress:
    """Shows images a second and the time left of each request."""

    def __init__(self, console: Console):
        self.console = console
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.started = self.last_plain = time.monotonic()
        self.passes: dict[TaskID, Pass] = {}

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def add(self, label: str, n_images: int, n_left: int, is_counted: bool) -> TaskID:
        """A request with `n_left` of its images to compute."""
        total = n_images if is_counted else None
        bar = self.bars.add_task(label, total=total, completed=n_images - n_left, pace="")
        self.passes[bar] = Pass(label, n_images, n_left, is_counted)
        return bar

    def advance(self, bar: TaskID, n_images: int) -> None:
        """So many more images of a request are done."""
        of = self.passes[bar]
        of.n_left -= n_images
        of.n_computed += n_images
        pace = of.pace(time.monotonic() - self.started)
        self.bars.update(bar, total=of.n_images, completed=of.n_images - of.n_left, pace=pace)

    def tick(self) -> None:
        """Tells where each unfinished request stands, where there is no live display and some time has passed."""
        now = time.monotonic()
        if self.console.is_terminal or now - self.last_plain < PLAIN_INTERVAL_S:
            return
        self.last_plain = now
        for of in self.passes.values():
            if of.n_left:
                self.console.print(of.line(now - self.started), soft_wrap=True, markup=False)
