"""A warm start: run logs of other studies, whose trials a search's sampler is told of, and whose equal ones it takes over."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.space import Trial
from foresight.tuning import preflight
from foresight.tuning.adopt import adopt
from foresight.tuning.record import Planned
from foresight.tuning.recorded import Recorded, lacking, read_recorded
from foresight.tuning.search import Objective, Search


@dataclass
class Told:
    """What became of the configurations of another run log when the sampler was to hear of them."""

    states: Counter[str] = field(default_factory=Counter)  # of those that it was told of
    n_outside: int = 0  # they lie in another space
    n_unmeasured: int = 0  # no trial of theirs has a value in every objective
    unmeasured: set[str] = field(default_factory=set)  # the objectives that those lack

    @property
    def n(self) -> int:
        return self.states.total()

    def describe(self) -> str:
        """`4 of 7 configurations told (3 complete, 1 failed); 2 lie outside the space, 1 lacks latency_ms`."""
        n_all = self.n + self.n_outside + self.n_unmeasured
        states = ", ".join(f"{n} {state}" for state, n in sorted(self.states.items()))
        left_out = [
            *([f"{self.n_outside} outside the space"] if self.n_outside else []),
            *([f"{self.n_unmeasured} without {' and '.join(sorted(self.unmeasured))}"] if self.n_unmeasured else []),
        ]
        told = f"the sampler was told of {self.n} of {n_all} configurations"
        return told + (f" ({states})" if states else "") + (f"; not of {', '.join(left_out)}" if left_out else "")


class WarmStart:
    """The finished trials of other run logs, read when a search begins. A trial that several hold is the first one's."""

    def __init__(self, sources: Sequence[RunLog]):
        self.sources: list[tuple[RunLog, dict[str, Recorded]]] = []
        seen: set[str] = set()
        for source in sources:
            trials = {key: trial for key, trial in read_recorded(source).items() if key not in seen}
            seen |= set(trials)
            self.sources.append((source, trials))

    def take_over(
        self,
        trial: Trial,
        log: RunLog,
        search: Search,
        objectives: Sequence[Objective],
        plan: Callable[[Trial], None],
    ) -> Mapping[str, Any] | None:
        """The row of a trial that need not run, planned by `plan` and in `log` as well.

        None unless one is complete and has a value in every objective.
        """
        for source, trials in self.sources:
            known = trials.get(trial.key)
            if known is not None and known.row["status"] == "complete" and not lacking(known.row, objectives):
                plan(trial)
                return adopt(log, source, Planned(trial, search.name, 1, claim_hash=search.claim.hash))
        return None


def check_sources(sources: Sequence[RunLog], log: RunLog) -> None:
    """Raises RequestError for a run log that holds no study, is damaged, or is the search's own."""
    for source in sources:
        preflight.check_readable(source)
        if source.read_sweep() is None:
            raise RequestError(f"--warm-start: '{source}' holds no study; name a folder such as runs/p2_ablations")
        if (source.place.url, source.root.resolve()) == (log.place.url, log.root.resolve()):
            raise RequestError(
                f"--warm-start: '{source}' is this search's own run log, from which it goes on in any case; leave it out"
            )
