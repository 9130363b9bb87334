"""What a search puts on record before its first trial."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foresight.proposal_space import ProposalSpace
from foresight.runlog import RunLog
from foresight.tuning.declaration import write_sweep
from foresight.tuning.search import Objective, Search


@dataclass(frozen=True)
class SearchDeclaration:
    """A search as sweep.json holds it."""

    search: Search
    space: ProposalSpace
    objectives: tuple[Objective, ...]
    n_proposals: int
    sources: tuple[RunLog, ...]

    def write(
        self, log: RunLog, sensitivity: Mapping[str, float] | None = None, came_to: Mapping[str, Any] | None = None
    ) -> None:
        """sweep.json: what was claimed and what varies, on disk before the first trial.

        `came_to`: how many proposals were made when a command ended, and which of them lie outside the space; else it is
        what an earlier one wrote.
        """
        stored = (log.read_sweep() or {}).get("space") or {}
        how = {**self.how(), "came_to": came_to or stored.get("search", {}).get("came_to", {})}
        space = {
            "design": "search",
            "baseline": self.space.baseline.flat(),
            "factors": [],
            "dimensions": self.space.to_json(),
            "search": how,
        }
        write_sweep(log, self.search, self.space.baseline, space, sensitivity)

    def how(self) -> dict[str, Any]:
        """How it is searched."""
        asha, epochs = self.search.asha, self.space.baseline.train.epochs
        return {
            "objectives": self.goals(),
            "sampler": self.search.sampler,
            "sampler_seed": self.search.seed,
            "proposals": self.n_proposals,
            "seeds": self.search.seeds,
            "rungs": list(asha.rungs(epochs)) if asha else [],
            "warm_start": [source.root.name for source in self.sources],
        }

    def goals(self) -> list[dict[str, Any]]:
        """The objectives, and which way each is better."""
        return [
            {"name": o.name, "column": o.column, "direction": "higher" if o.higher else "lower"}
            for o in self.objectives
        ]
