"""Sweep: everything a study's script declares, and Placement: where and how fast it runs, which never enters a key."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from foresight.claim import Claim
from foresight.config import GENERATED_DATA, DataConfig, HeldoutConfig, TrialConfig
from foresight.data import resolve_data
from foresight.errors import RequestError
from foresight.features.store import ArrayStore, default_root
from foresight.run_folder import open_log
from foresight.runlog import RunLog
from foresight.space import SearchSpace, Trial
from foresight.storage.place import Place
from foresight.tuning.accelerator import CUDA, Accelerator
from foresight.tuning.budget import Budget

# Given the space and the trials of each needed study, the space with what they decided.
Choose = Callable[[SearchSpace, Mapping[str, pd.DataFrame]], SearchSpace]


PATIENCE_S = (
    90.0  # that something waits for a place without a word; on a busy machine workers take half a minute to start
)
RETRIES = 3  # of a trial whose process or machine was lost, before that is a failed row


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
    budget: Budget | None = None  # where a command stops by itself, unless flags say otherwise


@dataclass(frozen=True)
class Placement:
    """Where and how fast. `slots` trials run at once, each on `workers` processes of `gpus` GPUs.

    With `pack` they share GPUs by the memory that they need: as many as fit, and at most `pack`, each with a CPU of its own.
    Paths are the same on all machines. Of an object store they are those of the copies, and the URL goes with them.
    """

    runs: Path
    slots: int
    gpus: float = 0.0
    workers: int = 1  # processes that share a trial: one is Tune's own, more are Ray Train's
    wait_s: float = 1800.0  # that a trial waits for its workers before it has failed
    cache: Path = field(default_factory=default_root)  # of features
    roots: Mapping[str, Path] = field(default_factory=dict)  # folders of data sets, by the data set's name
    runs_url: str | None = None
    cache_url: str | None = None
    alone: bool = False  # nothing of ours may run beside a trial: what is measured is time
    wandb: bool = False  # finished trials are sent to W&B
    pack: int = 0  # the most trials at once where several share a GPU; 0: each has its own
    accelerator: Accelerator = CUDA  # what its GPUs are

    def log(self, study: str) -> RunLog:
        """The run log of a study."""
        return open_log(self.place_of_runs.below(study))

    def store(self) -> ArrayStore:
        """The feature cache."""
        return ArrayStore.at(self.place_of_features)

    @property
    def place_of_features(self) -> Place:
        """The folder of all features."""
        return Place(self.cache, self.cache_url)

    @property
    def place_of_runs(self) -> Place:
        """The folder of all run logs."""
        return Place(self.runs, self.runs_url)

    @property
    def device(self) -> str:
        return self.accelerator.device if self.gpus else "cpu"

    @property
    def processes(self) -> int:
        """How many processes train at once, and so how many may do other work at once."""
        return self.slots * self.workers

    @property
    def cores(self) -> int:
        """CPUs that are used at once."""
        return max(self.processes, self.pack)

    @property
    def trial_gpus(self) -> float:
        """GPUs of one trial."""
        return self.gpus * self.workers

    def describe_slots(self) -> str:
        """`2 at a time`."""
        return f"up to {self.pack} at a time" if self.pack else f"{self.slots} at a time"

    def describe_workers(self) -> str:
        """`2 workers with 1 CPU each`."""
        return f"{self.workers} workers with {f'{self.gpus:g} GPU and ' if self.gpus else ''}1 CPU each"


def resolve_space(sweep: Sweep, scale: str, data: str | None, roots: Mapping[str, Path]) -> SearchSpace:
    """The sweep's space at a scale, on the data that was asked for; None: that of the study.

    Data with fewer pictures than planned is trained on for as many steps: the epochs, and the epochs that a training waits
    for a better loss, rise in proportion. With more of them, as clips have, they fall, to one at least.
    Raises RequestError for a folder that cannot be used (see `foresight.data.resolve_data`).
    """
    space = sweep.space(scale)
    baseline = resolve_baseline(space.baseline, data, roots)
    _check_counts(sweep, space, baseline.data)
    return replace(space, baseline=baseline)


def resolve_baseline(planned: TrialConfig, data: str | None, roots: Mapping[str, Path]) -> TrialConfig:
    """A planned baseline on the data that was asked for, trained for as many steps: see `resolve_space`."""
    declared = planned.data
    if data is not None:
        planned = planned.with_fields({f"data.{name}": value for name, value in declared.with_name(data).items()})
    resolved = resolve_data(planned.data, roots.get(planned.data.name))
    changes = {f"data.{name}": value for name, value in resolved.model_dump().items()}
    changes |= {f"heldout.{name}": value for name, value in _resolve_heldout(planned, roots).model_dump().items()}
    share = declared.n_train * declared.n_frames / (resolved.n_train * resolved.n_frames)
    trained = {"train": planned.train} | ({"head_train": planned.head_train} if planned.continued() else {})
    for part, recipe in trained.items():
        for name in ("epochs", "patience"):
            n_epochs = getattr(recipe, name)
            if n_epochs is not None:
                changes[f"{part}.{name}"] = max(1, round(n_epochs * share))
    return planned.with_fields(changes)


def _check_counts(sweep: Sweep, space: SearchSpace, resolved: DataConfig) -> None:
    """Raises RequestError when a factor varies the number of pictures or clips and the data holds fewer than the baseline's."""
    for factor in space.factors:
        split = factor.field.removeprefix("data.n_")
        if factor.field != f"data.n_{split}" or getattr(resolved, f"n_{split}") in factor.levels:
            continue
        listed = ", ".join(map(str, factor.levels))
        raise RequestError(
            f"'{sweep.name}' varies '{factor.field}' over {listed}, and '{resolved.name}' has "
            f"{getattr(resolved, f'n_{split}')} here; it needs {max(factor.levels)}, or other data"
        )


def _resolve_heldout(planned: TrialConfig, roots: Mapping[str, Path]) -> HeldoutConfig:
    """The further sets that can be measured on: those without a folder, and the study's own data, are left out."""
    heldout = planned.heldout
    for name, data in heldout.data(planned.data).items():
        available = name != planned.data.name and (name in GENERATED_DATA or name in roots)
        heldout = heldout.with_set(name, resolve_data(data, roots.get(name)) if available else None)
    return heldout


def read_roots(config: TrialConfig) -> set[str]:
    """The data sets that a resolved trial reads from a folder."""
    return ({config.data.name} | set(config.heldout.data(config.data))) - set(GENERATED_DATA)


def plan_trials(sweep: Sweep, space: SearchSpace, n_seeds: int) -> list[Trial]:
    """Every trial of the sweep, block after block. Raises RequestError for a claim or a space that is wrong."""
    sweep.claim.check()
    trials = space.trials(n_seeds)
    sweep.claim.check_arms(list(dict.fromkeys(trial.arm.name for trial in trials)))
    return trials


def run_order(sweep: Sweep, trials: list[Trial]) -> list[Trial]:
    """The trials as they are run: as planned, block after block.

    Where time is measured, each block has an order of its own: a machine that grows warm must not slow the same arms.
    """
    if not sweep.alone:
        return trials
    return sorted(trials, key=lambda trial: (trial.seed, random.Random(f"{trial.seed} {trial.arm.name}").random()))
