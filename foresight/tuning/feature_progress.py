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
    began: float | None = None  # when a process first turned to it

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.began if self.began is not None else 0.0

    def pace(self) -> str:
        """`85 images/s, left 2:03`; empty before anything is done."""
        if not self.n_computed:
            return ""
        rate = self.n_computed / max(self.elapsed_s, 1e-3)
        return f"{rate:,.0f} images/s, left {clock(self.n_left / rate)}"

    def line(self) -> str:
        """Where it stands."""
        done = f"{self.n_images - self.n_left:,} of {self.n_images:,} images"
        state = [done, self.pace()] if self.is_counted else [f"{self.n_images:,} images in one step"]
        return f"{self.label}: {', '.join([*filter(None, state), f'elapsed {clock(self.elapsed_s)}'])}"


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
        self.last_plain = time.monotonic()
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
        bar = self.bars.add_task(label, total=total, completed=n_images - n_left, pace="", start=False)
        self.passes[bar] = Pass(label, n_images, n_left, is_counted)
        return bar

    def begin(self, bar: TaskID) -> None:
        """A process turns to a request."""
        if self.passes[bar].began is None:
            self.passes[bar].began = time.monotonic()
            self.bars.start_task(bar)

    def advance(self, bar: TaskID, n_images: int) -> None:
        """So many more images of a request are done."""
        of = self.passes[bar]
        of.n_left -= n_images
        of.n_computed += n_images
        self.bars.update(bar, total=of.n_images, completed=of.n_images - of.n_left, pace=of.pace())

    def tick(self) -> None:
        """Tells where each unfinished request stands, where there is no live display and some time has passed."""
        if self.console.is_terminal or time.monotonic() - self.last_plain < PLAIN_INTERVAL_S:
            return
        self.last_plain = time.monotonic()
        for of in self.passes.values():
            if of.n_left and of.began is not None:
                self.console.print(of.line(), soft_wrap=True, markup=False)
