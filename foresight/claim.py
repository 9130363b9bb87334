"""The claim: what a sweep sets out to show, fixed and hashed before its first trial.

A claim that could be changed after looking at the numbers would be worth nothing, so a run directory belongs to one
claim, and analysis judges by the stored one.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from foresight.errors import RequestError, nearest_name
from foresight.metrics import METRICS


@dataclass(frozen=True)
class Criterion:
    """Levels that a test metric is held against, in the metric's own direction (see METRICS)."""

    metric: str
    target: float
    acceptable: float
    failure: float


@dataclass(frozen=True)
class Claim:
    """`margin` is the largest loss of the primary metric that still counts as no loss; `seeds` the least for a verdict."""

    statement: str
    primary: str
    margin: float
    alpha: float
    seeds: int
    criteria: tuple[Criterion, ...] = ()

    def check(self) -> None:
        """Raises RequestError for an unknown metric or levels that are not in order."""
        for name in (self.primary, *(c.metric for c in self.criteria)):
            if name not in METRICS:
                raise RequestError(
                    f"the claim names an unknown metric '{name}'{nearest_name(name, METRICS)}; known: {', '.join(METRICS)}"
                )
        if not (0 < self.alpha < 0.5 and self.margin > 0 and self.seeds >= 2):
            raise RequestError(
                f"a claim needs 0 < alpha < 0.5, margin > 0 and seeds >= 2, got {self.alpha}, {self.margin}, {self.seeds}"
            )
        for c in self.criteria:
            levels = (c.target, c.acceptable, c.failure)
            descending = METRICS[c.metric].direction == "higher"
            if list(levels) != sorted(levels, reverse=descending):
                raise RequestError(
                    f"'{c.metric}': target, acceptable and failure must go from best to worst, got {levels}"
                )

    def to_json(self) -> dict[str, Any]:
        """A plain tree for sweep.json."""
        return json.loads(json.dumps(asdict(self)))

    @property
    def hash(self) -> str:
        """16 hex digits over the whole claim."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]
