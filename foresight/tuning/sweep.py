"""Sweep: everything a study's script declares, and Placement: where and how fast it runs, which never enters a key."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from foresight.claim import Claim
from foresight.data import resolve_data
from foresight.features.store import default_root
from foresight.space import SearchSpace, Trial


@dataclass(frozen=True)
class Sweep:
    """A study: its name (the stem of its files), its question, what varies, the claim, and the seeds run by default."""

    name: str
    question: str
    space: Callable[[str], SearchSpace]  # scale -> space
    claim: Claim
    seeds: int = 5


@dataclass(frozen=True)
class Placement:
    """Where and how fast. `slots` trials run at once, each with `gpus` GPUs; paths are of this machine."""

    runs: Path
    slots: int
    gpus: float = 0.0
    cache: Path = field(default_factory=default_root)
    coco_root: Path | None = None

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"


def resolve_space(sweep: Sweep, scale: str, data: str, coco_root: Path | None) -> SearchSpace:
    """The sweep's space at a scale, on the data that was asked for.

    A folder that holds fewer images than planned is trained on for as many steps: the epochs rise in proportion.
    Raises RequestError for a COCO folder that cannot be used (see `foresight.data.resolve_data`).
    """
    space = sweep.space(scale)
    planned = space.baseline.with_fields({"data.name": data})
    resolved = resolve_data(planned.data, coco_root)
    changes = {f"data.{name}": value for name, value in resolved.model_dump().items()}
    epochs = round(planned.train.epochs * planned.data.n_train / resolved.n_train)
    return replace(space, baseline=planned.with_fields(changes | {"train.epochs": epochs}))


def plan_trials(sweep: Sweep, space: SearchSpace, n_seeds: int) -> list[Trial]:
    """Every trial of the sweep, block after block. Raises RequestError for a claim or a space that is wrong."""
    sweep.claim.check()
    return space.trials(n_seeds)
