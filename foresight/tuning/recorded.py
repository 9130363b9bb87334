"""What a run log knows of configurations: each trial's config rebuilt from its columns, and means over the seeds of one."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import ValidationError

from foresight.config import TrialConfig
from foresight.runlog import RunLog
from foresight.tuning.outcome import Outcome
from foresight.tuning.search import Objective

CONFIG = "config/"


@dataclass(frozen=True)
class Recorded:
    """A finished trial: its row, and its config."""

    row: Mapping[str, Any]
    config: TrialConfig

    @property
    def key(self) -> str:
        return self.config.key

    @property
    def is_adopted(self) -> bool:
        """Whether another study has run it (`foresight.tuning.adopt`)."""
        return isinstance(self.row.get("env/adopted_from"), str)


def rebuild_config(row: Mapping[str, Any]) -> TrialConfig | None:
    """The config of a row of the manifest or of the trials; None where it is not that of the row's key.

    A table gives whole numbers of a column with gaps as floats, and its gaps as nan, so the key is what proves the config.
    Another version of the config has other keys.
    """
    tree: dict[str, Any] = {}
    for name, value in row.items():
        if name.startswith(CONFIG):
            *parts, leaf = name.removeprefix(CONFIG).split(".")
            node = tree
            for part in parts:
                node = node.setdefault(part, {})
            node[leaf] = None if isinstance(value, float) and math.isnan(value) else value
    try:
        config = TrialConfig.model_validate(tree, strict=False)
    except ValidationError:
        return None
    return config if config.key == row["key"] else None


def read_recorded(log: RunLog) -> dict[str, Recorded]:
    """The finished trials of a run log by key, whatever their status, but for those of another version of the config."""
    found = {}
    for row in log.trials().to_dict("records"):
        named = {str(name): value for name, value in row.items()}
        config = rebuild_config(named)
        if config is not None:
            found[config.key] = Recorded(named, config)
    return found


def is_adopted(trials: pd.DataFrame) -> pd.Series:
    """Of each finished trial whether another study has run it."""
    return trials.get("env/adopted_from", pd.Series(None, index=trials.index)).notna()


def by_arm(recorded: Iterable[Recorded]) -> dict[str, list[Recorded]]:
    """The trials of each configuration apart from its seed, by its arm_key and in the order of their seeds."""
    found: dict[str, list[Recorded]] = defaultdict(list)
    for trial in sorted(recorded, key=lambda trial: (trial.config.arm_key, trial.config.seed)):
        found[trial.config.arm_key].append(trial)
    return dict(found)


def outcome_of(rows: Sequence[Mapping[str, Any]], n_seeds: int, objectives: Sequence[Objective]) -> Outcome | None:
    """What became of a configuration whose finished trials are `rows`; None while some of its seeds are to come.

    One that failed at a seed is no choice, whatever it did at the others, nor is one without a value.
    """
    if any(row["status"] == "failed" for row in rows):
        return Outcome("failed")
    stopped = [row for row in rows if row["status"] == "stopped"]
    if not stopped and len(rows) < n_seeds:
        return None
    means = [_mean([row.get(objective.column) for row in stopped or rows]) for objective in objectives]
    if any(math.isnan(mean) for mean in means):
        return Outcome("failed")
    if stopped:
        return Outcome("stopped", tuple(means), epoch=int(stopped[0]["train/epochs_run"]))
    return Outcome("complete", tuple(means))


def outcome_elsewhere(
    rows: Sequence[Mapping[str, Any]], objectives: Sequence[Objective], measured: Set[str]
) -> Outcome | None:
    """As `outcome_of`, of the trials that another study has run at seeds of its own; None where it measured something else.

    A trial that has come to nothing by a validation metric `measured` in others of its study has failed, as one that
    diverged has. One that lacks anything else says nothing here: that study had no use for it, or has not timed it yet.
    """
    telling = [row for row in rows if row["status"] == "failed" or set(lacking(row, objectives)) <= measured]
    return outcome_of(telling, len(telling), objectives) if telling else None


def measured_by(trials: Iterable[Recorded], objectives: Sequence[Objective]) -> frozenset[str]:
    """The objectives on validation images of which some complete trial of a study has a value: each one should."""
    complete = [trial.row for trial in trials if trial.row["status"] == "complete"]
    validated = [objective for objective in objectives if objective.column.startswith("val/")]
    return frozenset(goal.name for goal in validated if any(not lacking(row, [goal]) for row in complete))


def lacking(row: Mapping[str, Any], objectives: Sequence[Objective]) -> list[str]:
    """The names of the objectives of which a row holds no finite number."""
    return [objective.name for objective in objectives if math.isnan(_mean([row.get(objective.column)]))]


def _mean(values: Sequence[Any]) -> float:
    """nan where one of the values is missing or no finite number."""
    numbers = [math.nan if value is None else float(value) for value in values]
    mean = sum(numbers) / len(numbers)
    return mean if math.isfinite(mean) else math.nan
