"""Running a study block by block for as long as its budget lasts.

A block is begun if it is expected to end within the budget, by the pace of the trials so far, and a block that was begun is
finished. Before anything has been measured a speed is assumed, which is known to a factor: then a block is begun unless even
the low end of its estimate is too much.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from foresight.config import TrialConfig
from foresight.runlog import RunLog
from foresight.sizes import Size, recall_sizes, sized_config
from foresight.space import Trial
from foresight.tuning import preflight
from foresight.tuning.budget import Budget, count_gpu_s, held_seconds, hours_of
from foresight.tuning.estimate import Estimate, estimate_cost
from foresight.tuning.prediction import Range
from foresight.tuning.progress import clock
from foresight.tuning.ray_runtime import keeping_ray
from foresight.tuning.session import SOME_FAILED, Session
from foresight.tuning.so_far import SoFar
from foresight.tuning.sweep import Placement


@dataclass(frozen=True)
class Need:
    """What some trials should take of a budget: seconds until they end, and seconds of GPUs (of slots, on CPUs)."""

    wall_s: float
    gpu_s: float


class BudgetMeter:
    """What one command has spent of its budget, and whether more fits. `logs`: of the study and of those it needs.

    `whole` is what is begun or not: a block, or a search's proposal.
    """

    def __init__(self, budget: Budget, logs: Sequence[RunLog], whole: str = "block"):
        self.budget, self.logs, self.whole, self.started = budget, logs, whole, time.monotonic()
        # Of the blocks that this command has run: until they ended, and in their trials.
        self.wall_s = self.slot_s = 0.0
        self.so_far = SoFar()

    def shortage(self, pending: Sequence[Trial], log: RunLog, placement: Placement) -> str | None:
        """Why these trials are not begun, in words; None: they should end within the budget, or there is no limit."""
        if not pending or not self.budget.is_limited:
            return None
        estimate = estimate_cost(pending, measure_sizes(pending, placement.cache), log, placement)
        return self.lack(self.need(estimate), estimate.gpus > 0)

    def need(self, estimate: Estimate, with_features: bool = True) -> Need:
        """What is expected, or where speeds are assumed the least that is likely; that of features is always assumed."""

        def pick(found: Range) -> float:
            return found.expected if estimate.is_measured else found.low

        # Starting trials and waiting for a block's last one are in no trial's own time. What is done once, features, latency
        # and checks, is in no later block's.
        overhead = self.wall_s / (self.slot_s / estimate.slots) if self.slot_s else 1.0
        wall_s, features_s = pick(estimate.wall_s), estimate.extraction_s.low
        if not with_features:
            wall_s, features_s = wall_s - pick(estimate.extraction_s) / estimate.slots, 0.0
        return Need(wall_s * overhead, (pick(estimate.trials_s) + features_s) * (estimate.gpus or 1.0))

    def lack(self, need: Need, on_gpus: bool, before: Need | None = None, what: str = "") -> str | None:
        """Which limit `need` would break, in words, after `before` has been spent besides; `what` needs it, or the next whole."""
        before, what = before or Need(0.0, 0.0), what or f"the next {self.whole}"
        budget = self.budget
        unit = "GPU-hours" if on_gpus else "slot-hours (there is no GPU: one trial at a time)"
        passed_s = time.monotonic() - self.started + before.wall_s
        if budget.hours is not None and hours_of(passed_s + need.wall_s) > budget.hours:
            return (
                f"{clock(round(passed_s))} of {clock(round(3600 * budget.hours))} are over and {what} should take "
                f"{clock(round(need.wall_s))}; the same command goes on here"
            )
        if budget.gpu_hours is None and budget.money is None:
            return None
        spent, more = hours_of(count_gpu_s(self.logs) + before.gpu_s), hours_of(need.gpu_s)
        if budget.gpu_hours is not None and spent + more > budget.gpu_hours:
            return (
                f"{spent:.3g} of {budget.gpu_hours:g} {unit} are spent and {what} should take {more:.2g}; "
                "the same command with a larger --budget-gpu-hours goes on here"
            )
        if budget.money is not None and budget.price is not None:
            each, currency = budget.price.per_gpu_hour, budget.money.currency
            if (spent + more) * each > budget.money.amount:
                return (
                    f"{spent * each:.2f} of {budget.money.amount:.2f} {currency} are spent, at {each:g} {currency} for one of "
                    f"the {unit}, and {what} should take {more * each:.2f}; the same command with a larger "
                    "--budget-money goes on here"
                )
        return None

    def add(self, ran: Sequence[Trial], log: RunLog, wall_s: float) -> None:
        """Trials that were run, and how long it took until the last had ended."""
        trials = log.trials()
        trials = trials[trials["key"].isin({trial.key for trial in ran})]
        self.wall_s, self.slot_s = self.wall_s + wall_s, self.slot_s + float(held_seconds(trials).sum())

    def count_blocks(self, pending: Sequence[Trial], log: RunLog, placement: Placement) -> int:
        """How many whole blocks of the pending trials fit, from the first on."""
        before, n = Need(0.0, 0.0), 0
        for block in blocks(pending):
            estimate = estimate_cost(block, measure_sizes(block, placement.cache), log, placement)
            need = self.need(estimate, with_features=n == 0)  # every block reads the same images
            if self.lack(need, estimate.gpus > 0, before):
                break
            before, n = Need(before.wall_s + need.wall_s, before.gpu_s + need.gpu_s), n + 1
        return n


def run_study(session: Session, wanted: list[Trial], retry_failed: bool, meter: BudgetMeter) -> int:
    """Runs what is not finished of the wanted trials, as far as the budget goes. Returns the exit code."""
    with as_one_command(session.log):
        begun, lack = run_blocks(session, wanted, retry_failed, meter)
    code = session.summarise(begun) if begun else SOME_FAILED
    if lack is None:
        return code
    say_ended(session, wanted, lack)
    return SOME_FAILED


@contextlib.contextmanager
def as_one_command(log: RunLog) -> Iterator[None]:
    """Over all blocks of a command: no other driver writes between two of them, and Ray, once started, is kept."""
    with preflight.only_driver(log), keeping_ray():
        yield


def run_blocks(
    session: Session, wanted: list[Trial], retry_failed: bool, meter: BudgetMeter
) -> tuple[list[Trial], str | None]:
    """Runs what is pending of the wanted trials, block by block where there is a budget.

    Returns the trials of begun blocks, and why the others were not begun; None: all were.
    """
    session.so_far = meter.so_far
    if not meter.budget.is_limited:
        session.execute(wanted, retry_failed)
        return wanted, None
    begun: list[Trial] = []
    for block in blocks(wanted):
        later = [trial for trial in wanted if trial.seed > block[0].seed]
        meter.so_far.n_later = len(preflight.pending_trials(later, session.log.statuses(), retry_failed))
        pending = preflight.pending_trials(block, session.log.statuses(), retry_failed)
        lack = meter.shortage(pending, session.log, session.placement)
        if lack is not None:
            return begun, lack
        if pending or session.unmeasured(block):
            before_s = meter.so_far.trials_wall_s
            session.execute(block, retry_failed)
            meter.add(pending, session.log, meter.so_far.trials_wall_s - before_s)
        begun += block
    return begun, None


def say_ended(session: Session, wanted: Sequence[Trial], lack: str) -> None:
    """That the budget has ended, and what is left."""
    statuses = session.log.statuses()
    left = [trial for trial in wanted if trial.key not in statuses]
    n_blocks = len(list(blocks(left)))
    session.console.print(
        f"the budget ends before the next block: {lack}; {len(left)} of {len(wanted)} trials in "
        f"{n_blocks} block{'s' * (n_blocks > 1)} are left",
        soft_wrap=True,
    )


def blocks(trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """The trials seed by seed."""
    for seed in sorted({trial.seed for trial in trials}):
        yield [trial for trial in trials if trial.seed == seed]


def measure_sizes(trials: Sequence[Trial], cache: Path) -> dict[str, Size]:
    """Sizes of the model of each arm, by the arm's name; `cache` is the folder that keeps them for the next plan."""
    arms = {name: sized_config(config) for name, config in {t.arm.name: t.arm.config for t in trials}.items()}
    sizes = recall_sizes(dict.fromkeys(arms.values()), cache, _count)
    return {name: sizes[config] for name, config in arms.items()}


def _count(configs: list[TrialConfig]) -> Iterator[Size]:
    """The size of each, counted; a person who waits for many sees how far it is."""
    from foresight.train.size import measure_size  # needs torch

    console = Console(stderr=True)
    shown = track(configs, "counting models", console=console, transient=True, disable=not console.is_terminal)
    yield from map(measure_size, shown)
