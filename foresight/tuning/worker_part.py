"""What each Ray Train worker of a trial does: it takes its part in the training, and the first one writes the trial's row."""

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from foresight.runlog import RunLog
from foresight.tuning.context import worker_context
from foresight.tuning.record import (
    Planned,
    environment_columns,
    has_its_row,
    record_trial,
    write_error,
)
from foresight.tuning.scratch import TrialScratch
from foresight.tuning.sweep import Placement

if TYPE_CHECKING:
    from foresight.features.stage import StagedData
    from foresight.train.loop import SavedTraining
    from foresight.train.parallel import Ranks
    from foresight.train.task import Context

LEAVE_PAUSE_S = 0.1  # between two looks whether a raced trial may go on


@dataclass(frozen=True)
class SharedJob:
    """A trial that several workers share; small and picklable."""

    planned: Planned
    placement: Placement
    log: RunLog


def take_part(config: dict[str, SharedJob]) -> None:
    """Runs in every worker of a trial, again in each new group of them after one was lost.

    What fails in all of them alike ends the trial with a row; what fails in one raises, so that Train ends the others,
    which would wait for it for ever. Returns at once where the trial has its row, or is told to end.
    """
    from ray import train

    from foresight.train.parallel import Ranks

    place, job = train.get_context(), config["job"]
    log, planned = job.log, job.planned
    scratch = TrialScratch(log, planned.key)
    ranks = Ranks(place.get_world_rank(), place.get_world_size(), scratch.is_told_to_end)
    if ranks.is_first:
        planned = replace(planned, attempt=planned.attempt + scratch.count_start() - 1)
    if all_are_over(log, job.planned, scratch, ranks):
        return
    context = replace(worker_context(job.placement), gpus=job.placement.trial_gpus)
    data = _stage(job, log, planned, context, ranks)
    saved = scratch.checkpoint(planned.trial.config, context, ranks.size, every_s=0.0)
    if ranks.is_first:
        scratch.write_environment(environment_columns() | {"env/device": context.device, "env/workers": ranks.size})
        _lead(record_trial(log, planned, data, context, saved, ranks), scratch, planned)
    else:
        _help(planned, data, context, saved, ranks)


def all_are_over(log: RunLog, planned: Planned, scratch: TrialScratch, ranks: "Ranks") -> bool:
    """Whether nothing is to be done, the same answer in every worker: one that leaves alone is waited for by the others."""
    is_over = ranks.is_first and (has_its_row(log, planned) or scratch.is_told_to_end())
    return bool(ranks.from_first([float(is_over)])[0])


def _stage(job: SharedJob, log: RunLog, planned: Planned, context: "Context", ranks: "Ranks") -> "StagedData":
    from foresight.features.stage import stage

    try:
        return stage(planned.trial.config, job.placement.store(), context.device)
    except Exception as error:
        if ranks.is_first:
            write_error(log, planned, error)
        raise


def _lead(epochs: Generator[dict[str, float], None, Exception | None], scratch: TrialScratch, planned: Planned) -> None:
    """Tells the trial's own process of every epoch. Raises what failed here alone."""
    from foresight.train.loop import DivergedError

    rows = []
    while True:
        try:
            rows.append(next(epochs))
        except StopIteration as end:
            if end.value is not None and not isinstance(end.value, DivergedError):
                raise end.value from None
            return
        scratch.write_rows(rows)
        if planned.raced:
            # The scheduler decides first: a trial that ran on might have its row before it is stopped.
            while scratch.allowed_epoch() < rows[-1]["epoch"] and not scratch.is_told_to_end():
                time.sleep(LEAVE_PAUSE_S)


def _help(planned: Planned, data: "StagedData", context: "Context", saved: "SavedTraining", ranks: "Ranks") -> None:
    from foresight.train.loop import DivergedError, ToldToEndError
    from foresight.train.trial import help_train

    try:
        help_train(planned.trial.config, data, context, saved, ranks)
    except (DivergedError, ToldToEndError):  # in all of them alike; the first one says it
        return
