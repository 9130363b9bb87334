"""Filling the feature cache with a pool of processes: each takes shards of the missing entries until none is left.

A process stays with one encoder as long as that has shards, so that it is loaded once. What is finished is on disk: after
an interrupt or a death the same command goes on with the first unfinished shard.
"""

import time
from collections import Counter, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import TaskID

from foresight.config import TrialConfig
from foresight.errors import RunEndedError
from foresight.features.keys import KINDS
from foresight.features.requests import Request, missing_requests, needed_entries
from foresight.features.shards import is_finished, request_shards, tidy_shards
from foresight.features.store import ArrayStore
from foresight.side_costs import SideCosts
from foresight.tuning.extractor import Extractor
from foresight.tuning.feature_progress import FeatureProgress
from foresight.tuning.progress import clock
from foresight.tuning.ray_runtime import LostProcessError, result_of
from foresight.tuning.sweep import PATIENCE_S, Placement

ONE_STEP = ("images", "ltx")  # reading a data set, pretraining the toy decoder: methods of Extractor
MOST_DEATHS = 2  # of processes at one step: a machine may be lost once, a second time it is the step


def fill_cache(
    ray: Any,
    configs: Sequence[TrialConfig],
    placement: Placement,
    console: Console,
    kinds: Collection[str] = KINDS,
    costs: SideCosts | None = None,
) -> None:
    """Computes every entry that these trials read and the cache lacks, `placement.processes` at once.

    `kinds` are those of Request to compute; what it took is added to `costs`, the account of a study.
    Raises RequestError for data that cannot be read, RunEndedError for a full disk or a step that kills its process.
    """
    store = placement.store()
    tidy_shards(needed_entries(configs), store)
    pool = FeaturePool(ray, placement, console, costs)
    try:
        for stage in missing_requests(configs, store):
            pool.run([request for request in stage if request.kind in kinds])
    finally:
        pool.close()


@dataclass(frozen=True)
class Step:
    """One call of a method of Extractor."""

    method: str
    arguments: tuple[Any, ...]
    n_pictures: int = 0


class Work:
    """What is left of one request: its one step or its shards first, then the joining of its entries."""

    bar: TaskID  # of the display

    def __init__(self, request: Request, store: ArrayStore):
        self.request = request
        self.is_counted = request.kind not in ONE_STEP
        self.joins: list[Step] = []
        self.n_pictures = request.n_pictures
        if not self.is_counted:
            steps = [Step(request.kind, (request,), self.n_pictures)]
        else:
            shards = request_shards(request, store)
            self.n_pictures = sum(map(len, shards))
            unfinished = [shard for shard in shards if not is_finished(shard, request.keys, store)]
            steps = [Step("shard", (request, shard), len(shard)) for shard in unfinished]
            self.joins = [Step("join", (key, shards)) for key in request.keys]
        self.n_left = sum(step.n_pictures for step in steps)
        self.waiting, self.running = deque(steps), 0
        self._join_when_encoded()

    def take(self) -> Step:
        self.running += 1
        return self.waiting.popleft()

    def give_back(self, step: Step) -> None:
        """A step whose process died waits again."""
        self.running -= 1
        self.waiting.appendleft(step)

    def finish(self, step: Step) -> None:
        self.running -= 1
        self.n_left -= step.n_pictures
        self._join_when_encoded()

    @property
    def is_done(self) -> bool:
        return not self.waiting and not self.running

    def _join_when_encoded(self) -> None:
        if self.is_done:
            self.waiting.extend(self.joins)
            self.joins = []


class FeaturePool:
    """Deals the steps of requests to processes, which it starts when there is work for them."""

    def __init__(self, ray: Any, placement: Placement, console: Console, costs: SideCosts | None = None):
        self.ray, self.placement, self.console, self.costs = ray, placement, console, costs
        self.starting: dict[
            Any, Any
        ] = {}  # processes that Ray has not placed yet, by the reference of their first answer
        self.n_lost = 0  # of those, one after the other
        self.counted_at = self.since = time.monotonic()  # `since` when no process has come
        self.has_said = False
        self.store = placement.store()
        self.idle: list[Any] = []
        self.working: dict[Any, tuple[Any, Work, Step]] = {}  # by the reference of the call's result
        self.last_work: dict[Any, Work] = {}  # by process: whose encoder it holds
        self.deaths: Counter[int] = Counter()  # by the step's id
        self.extractor = ray.remote(num_cpus=1, num_gpus=placement.gpus, max_restarts=0)(Extractor)

    def run(self, requests: Sequence[Request]) -> None:
        """Returns when every request is done; they may be computed in any order."""
        works = [Work(request, self.store) for request in requests]
        with FeatureProgress(self.console) as progress:
            for work in works:
                work.bar = progress.add(work.request.label, work.n_pictures, work.n_left, work.is_counted)
            while not all(work.is_done for work in works):
                self._deal([work for work in works if work.waiting], progress)
                done, _ = self.ray.wait([*self.working, *self.starting], timeout=1.0)
                self._count()
                for reference in done:
                    if reference in self.starting:
                        self._begin(reference)
                    else:
                        self._collect(reference, progress)
                progress.tick()
                self._watch()

    def _count(self) -> None:
        """Adds the time since the last count: each process holds its GPU, on CPUs its slot, whether it has work or not."""
        now = time.monotonic()
        if self.costs is not None:
            process_s = (len(self.idle) + len(self.working)) * (now - self.counted_at)
            self.costs.add("features", process_s, self.placement.gpus)
        self.counted_at = now

    def close(self) -> None:
        """Ends the processes, and with them what they hold of memory."""
        self._count()
        for process in [*self.idle, *(process for process, _, _ in self.working.values()), *self.starting.values()]:
            self.ray.kill(process)
        self.idle, self.working, self.starting = [], {}, {}
        if self.costs is not None:
            self.costs.write()

    def _deal(self, works: list[Work], progress: FeatureProgress) -> None:
        """Gives every process that has come something to do, and asks for more while there are free slots.

        One that has no place yet holds no step: where a machine was lost, those that are there do all of it.
        """
        while works and self.idle:
            process = self.idle.pop()
            work = self.last_work.get(process)
            if work not in works:
                work = max(works, key=self._urgency)
            progress.begin(work.bar)
            step = work.take()
            self.last_work[process] = work
            self.working[getattr(process, step.method).remote(*step.arguments)] = (process, work, step)
            works = [work for work in works if work.waiting]
        n_free = self.placement.processes - len(self.working) - len(self.starting)
        for _ in range(min(n_free, sum(len(work.waiting) for work in works) - len(self.starting))):
            process = self.extractor.remote(self.placement)
            self.starting[process.ready.remote()] = process

    def _begin(self, reference: Any) -> None:
        """A process has come, or was lost on its way."""
        process = self.starting.pop(reference)
        try:
            result_of(self.ray, reference)
        except (self.ray.exceptions.RayActorError, LostProcessError) as error:
            self.ray.kill(process)
            self.n_lost += 1
            if self.n_lost >= MOST_DEATHS:
                raise RunEndedError(
                    f"{MOST_DEATHS} processes that were to compute features died before they began "
                    f"({_cause_of(error)}); what is finished is kept, and the same command goes on here"
                ) from error
            return
        self.n_lost = 0
        self.idle.append(process)

    def _watch(self) -> None:
        """Says when no process has got a place for long. Raises RunEndedError when none ever does."""
        now = time.monotonic()
        if self.idle or self.working:
            self.since, self.has_said = now, False
            return
        waited = now - self.since
        each = f"{self.placement.gpus:g} GPU and 1 CPU" if self.placement.gpus else "1 CPU"
        text = f"no process that computes features has got a place for {clock(round(waited))}: each takes {each}"
        if waited > self.placement.wait_s:
            raise RunEndedError(
                f"{text}; what is finished is kept, and the same command goes on once there are machines"
            )
        if waited > PATIENCE_S and not self.has_said:
            self.has_said = True
            self.console.print(f"{text}; this command ends after {clock(round(self.placement.wait_s))}", soft_wrap=True)

    def _urgency(self, work: Work) -> float:
        """Pictures left for each process that would be at it."""
        n_at_it = sum(other is work for _, other, _ in self.working.values())
        return work.n_left / (1 + n_at_it)

    def _collect(self, reference: Any, progress: FeatureProgress) -> None:
        process, work, step = self.working.pop(reference)
        try:
            result_of(self.ray, reference)
        except (self.ray.exceptions.RayActorError, LostProcessError) as error:
            self.ray.kill(process)  # it may only have been out of reach
            self.deaths[id(step)] += 1
            if self.deaths[id(step)] >= MOST_DEATHS:
                raise RunEndedError(
                    f"computing {work.request.label} killed {MOST_DEATHS} processes in the same place "
                    f"({_cause_of(error)}), most often for want of memory; what is finished is kept, and the "
                    "same command goes on here"
                ) from error
            work.give_back(step)
            return
        except BaseException:
            self.idle.append(process)
            raise
        self.idle.append(process)
        work.finish(step)
        progress.advance(work.bar, step.n_pictures)
        if work.is_done:
            self.console.print(f"computed {work.request.label}", soft_wrap=True)


def _cause_of(error: Exception) -> str:
    """The first line of what Ray says of a lost process."""
    return str(error.__cause__ if isinstance(error, LostProcessError) else error).splitlines()[0]
