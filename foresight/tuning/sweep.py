"""Sweep: everything a study's script declares, and Placement: where and how fast it runs, which never enters a key."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from foresight.claim import Claim
from foresight.data import resolve_data
from foresight.features.store import default_root
from foresight.space import SearchSpace, Trial

# Given the space and the trials of each needed study, the space with what they decided.
Choose = Callable[[SearchSpace, Mapping[str, pd.DataFrame]], SearchSpace]


@dataclass(frozen=True)
class Sweep:
    """A study: its name (the stem of its files), its question, what varies, the claim, and the seeds run by default."""

    name: str
    question: str
    space: Callable[[str], SearchSpace]  # scale -> space
    claim: Claim
    seeds: int = 5
    needs: "tuple[Sweep, ...]" = ()  # studies that this one builds on: found in the run log, or run first
    choose: Choose | None = None  # what the needed studies decide; without them the space is as declared
    keep_weights: bool = False  # trained models are kept, for a study that continues with them
    alone: bool = False  # one trial at a time: what is measured is time


@dataclass(frozen=True)
class Placement:
    """Where and how fast. `slots` trials run at once, each with `gpus` GPUs; paths are of this machine."""

    runs: Path
    slots: int
    gpus: float = 0.0
    cache: Path = field(default_factory=default_root)
    roots: Mapping[str, Path] = field(default_factory=dict)  # folders of data sets, by the data set's name

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"


def resolve_space(sweep: Sweep, scale: str, data: str | None, roots: Mapping[str, Path]) -> SearchSpace:
    """The sweep's space at a scale, on the data that was asked for; None: that of the study.

    A folder that holds fewer images than planned is trained on for as many steps: the epochs, and the epochs that a
    training waits for a better loss, rise in proportion.
    Raises RequestError for a folder that cannot be used (see `foresight.data.resolve_data`).
    """
    space = sweep.space(scale)
    planned = space.baseline if data is None else space.baseline.with_fields({"data.name": data})
    resolved = resolve_data(planned.data, roots.get(planned.data.name))
    changes = {f"data.{name}": value for name, value in resolved.model_dump().items()}
    for name in ("epochs", "patience"):
        n_epochs = getattr(planned.train, name)
        if n_epochs is not None:
            changes[f"train.{name}"] = round(n_epochs * planned.data.n_train / resolved.n_train)
    return replace(space, baseline=planned.with_fields(changes))


def plan_trials(sweep: Sweep, space: SearchSpace, n_seeds: int) -> list[Trial]:
    """Every trial of the sweep, block after block. Raises RequestError for a claim or a space that is wrong."""
    sweep.claim.check()
    sweep.claim.check_arms([arm.name for arm in space.arms()])
    return space.trials(n_seeds)
