"""What trials that are over tell about those to come: how long each took for its work, from this or other run logs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from foresight.config import TrialConfig
from foresight.config.trial import UNTRAINED_TASKS
from foresight.runlog import RunLog
from foresight.space import Trial
from foresight.tuning.budget import gpu_shares

BACKWARD = 3  # forward and backward pass together, in forward passes


@dataclass(frozen=True)
class OtherStudies:
    """Trials of the other studies of a folder of run logs, by study, and the studies that could not be read."""

    trials: Mapping[str, pd.DataFrame]
    unreadable: tuple[str, ...]


def read_complete(log: RunLog, scale: str) -> pd.DataFrame:
    """The run log's own complete trials at this scale; imported ones know nothing of these machines."""
    trials = log.trials()
    if not len(trials) or "config/scale" not in trials:
        return pd.DataFrame()
    ours = (trials["status"] == "complete") & (trials["provenance"] == "trained") & (trials["config/scale"] == scale)
    return trials[ours]


def read_others(runs: Path, study: str, scale: str) -> OtherStudies:
    """As `read_complete`, of every other study in `runs` that has such trials. A damaged one is named and left out."""
    found, unreadable = {}, []
    for folder in sorted(runs.iterdir()) if runs.is_dir() else ():
        if folder.name == study or not (folder / "sweep.json").is_file():
            continue
        log = RunLog(folder)
        try:
            trials = read_complete(log, scale) if (log.read_sweep() or {}).get("scale") == scale else pd.DataFrame()
        except (pa.ArrowException, ValueError, OSError):  # a fault of that study, which this one must not end on
            unreadable.append(folder.name)
            continue
        if len(trials):
            found[folder.name] = trials
    return OtherStudies(found, tuple(unreadable))


def measured_times(trials: pd.DataFrame) -> pd.DataFrame:
    """arm, task, work, seconds and share of complete trials, in the order in which a study runs them: block after block.

    The seconds are of whole processes and of all that shared a trial: one that had a share of a GPU held it for that part of
    its time, and two workers held two.
    """
    if not len(trials):
        return pd.DataFrame({"arm": [], "task": [], "work": [], "seconds": [], "share": []})
    trials = trials.sort_values("seed", kind="stable")
    times = pd.DataFrame({"arm": trials["arm"], "task": trials["config/task"], "work": _work_done(trials)})
    times["share"] = gpu_shares(trials)
    workers = trials["env/workers"].astype(float).fillna(1.0) if "env/workers" in trials else 1.0
    times["seconds"] = trials["cost/trial_s"].fillna(trials["cost/train_s"]).astype(float) * times["share"] * workers
    return times[(times["seconds"] > 0) & (times["work"] > 0)].reset_index(drop=True)


def planned_work(trials: Sequence[Trial], sizes: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """arm and work of trials to come. `sizes`: `flops` of a forward pass of one image, by arm."""
    work = [compute_work(trial.config, sizes[trial.arm.name]["flops"]) for trial in trials]
    return pd.DataFrame({"arm": [trial.arm.name for trial in trials], "work": work})


def compute_work(config: TrialConfig, forward_flops: float) -> float:
    """Operations to train, for the most epochs that there can be; 1 where nothing is trained."""
    if not config.is_trained:
        return 1.0
    return BACKWARD * forward_flops * config.recipe.epochs * config.data.n_train * config.data.n_frames


def _work_done(trials: pd.DataFrame) -> pd.Series:
    """As `compute_work`, of finished trials. One that ended by itself counts as planned, as those to come are."""
    recipe = trials["config/task"].map(lambda task: "head_train" if task == "end_to_end" else "train")
    epochs = pd.Series(0.0, index=trials.index)
    for part in recipe.unique():
        epochs = epochs.where(recipe != part, trials[f"config/{part}.epochs"].astype(float))
    images = trials["config/data.n_train"] * trials["config/data.n_frames"]
    work = BACKWARD * trials["cost/flops"].astype(float) * epochs * images
    return work.mask(trials["config/task"].isin(UNTRAINED_TASKS), 1.0)
