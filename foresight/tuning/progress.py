"""What a person sees while a sweep runs: a live panel in a terminal, plain lines elsewhere."""

import time
from collections import defaultdict
from statistics import fmean
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from foresight.metrics import METRICS

PLAIN_INTERVAL_S = 5.0  # at most one plain progress line in this time; failures are always told


def clock(seconds: float) -> str:
    """`1:02:03`, or `2:03` under an hour."""
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


class SweepProgress:
    """Counts trials and shows done, running, failed, elapsed and remaining time, and the best arm so far."""

    def __init__(self, console: Console, n_pending: int, n_slots: int, primary: str):
        self.console = console
        self.n_pending, self.n_slots = n_pending, n_slots
        self.metric = METRICS[primary]
        self.done = self.failed = 0
        self.running: set[str] = set()
        self.values: dict[str, list[float]] = defaultdict(list)
        self.started = time.monotonic()
        self.last_plain = self.started
        self.bar = Progress(
            TextColumn("trials"), BarColumn(bar_width=40), TextColumn("{task.completed}/{task.total}"), console=console
        )
        self.task = self.bar.add_task("trials", total=n_pending)
        self.live: Live | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live = Live(get_renderable=self._panel, console=self.console, refresh_per_second=2)
            self.live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.__exit__(kind, error, trace)

    def say(self, sentence: str) -> None:
        """What a person should know of meanwhile."""
        self.console.print(Text(sentence, style="yellow"), soft_wrap=True)

    @property
    def n_waiting(self) -> int:
        """Trials that have not begun."""
        return self.n_pending - self.done - self.failed - len(self.running)

    def expect(self, n_left: int) -> None:
        """How many trials are still to end, where that is only known on the way."""
        self.n_pending = self.done + self.failed + n_left
        self.bar.update(self.task, total=self.n_pending)

    def start(self, key: str) -> None:
        """One trial began."""
        self.running.add(key)
        self._tell_plainly()

    def pause(self, key: str) -> None:
        """One trial ended without a result, and will begin again."""
        self.running.discard(key)

    def finish(self, key: str, arm: str, error: str | None, value: float | None) -> None:
        """One trial ended: failed with `error`, or complete with the primary metric's value."""
        self.running.discard(key)
        self.done += error is None
        self.failed += error is not None
        self.bar.update(self.task, completed=self.done + self.failed)
        if value is not None:
            self.values[arm].append(value)
        if error is not None:
            self.console.print(Text(f"failed {key} ({arm}): {error}", style="red"), soft_wrap=True)
        if self.done + self.failed == self.n_pending:
            self._tell_plainly(always=True)

    def _tell_plainly(self, always: bool = False) -> None:
        """Where there is no live panel, a line now and then: when the slots have just been filled again."""
        due = time.monotonic() - self.last_plain >= PLAIN_INTERVAL_S and self.done + self.failed
        if self.live is None and (due or always):
            self.last_plain = time.monotonic()
            self.console.print(self.line(), soft_wrap=True, highlight=False)

    def line(self) -> str:
        """The state in one line."""
        elapsed = time.monotonic() - self.started
        ended = self.done + self.failed
        left = clock(elapsed / ended * (self.n_pending - ended)) if ended else "unknown"
        parts = [
            f"{ended}/{self.n_pending} trials",
            f"{len(self.running)} running",
            f"{self.failed} failed",
            f"elapsed {clock(elapsed)}",
            f"left {left}",
        ]
        return ", ".join(parts) + (f", best so far {self.best()}" if self.values else "")

    def best(self) -> str:
        """The arm with the best mean among those with the most finished seeds. A glance, not a verdict."""
        most = max(map(len, self.values.values()))
        means = {arm: fmean(values) for arm, values in self.values.items() if len(values) == most}
        pick = max if self.metric.direction == "higher" else min
        arm = pick(means, key=lambda name: means[name])
        return f"{arm} (validation {self.metric.label} {means[arm]:.3f}, n={most})"

    def _panel(self) -> Group:
        return Group(self.bar.get_renderable(), Text(self.line()))
