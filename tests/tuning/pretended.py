"""Trials that only pretend to run, for a study whose claim has looks."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import looked_study
import numpy as np

from foresight.runlog import RunLog, config_columns
from foresight.space import Trial
from foresight.tuning import preflight
from foresight.tuning.session import Session

SWEEP = replace(looked_study.SWEEP, claim=replace(looked_study.CLAIM, alpha=0.4))
NAMES = ("baseline", "fusion.layers=2", "fusion.queries=32")


@dataclass
class Pretended:
    """Trials whose mask IoU is drawn from `mean` and `noise` of the arm, at no cost; `batches` are the trials of each call."""

    mean: dict[str, float] = field(default_factory=dict)
    noise: dict[str, float] = field(default_factory=dict)
    fails: set[tuple[str, int]] = field(default_factory=set)
    batches: list[list[tuple[int, str]]] = field(default_factory=list)
    provenance: str = "trained"
    images: dict[str, object] = field(default_factory=lambda: {"data/test_hash": "a" * 16, "data/n_test": 8})
    dies_at: int | None = None  # call
    wall_s: Callable[[int], None] = lambda n: None
    once_s: Callable[[int], None] = lambda call: None  # beside the trials of a call

    def execute(self, session: Session, wanted: list[Trial], retry_failed: bool) -> None:
        pending = preflight.pending_trials(wanted, session.log.statuses(), retry_failed)
        session.write_declaration()
        self.batches.append([(trial.seed, trial.arm.name) for trial in pending])
        for i, trial in enumerate(pending):
            if self.dies_at == len(self.batches) - 1 and i == 1:
                raise KeyboardInterrupt
            self._write(session.log, trial)
        started = time.monotonic()
        self.wall_s(len(pending))
        session.so_far.trials_wall_s += time.monotonic() - started
        self.once_s(len(self.batches))

    def _write(self, log: RunLog, trial: Trial) -> None:
        name, rng = trial.arm.name, np.random.default_rng([trial.seed, *trial.arm.name.encode()])
        # What hides an arm is as much up as down, so that no method could decide it.
        hidden = self.noise.get(name, 0.0) * (-1) ** trial.seed
        value = 0.5 + self.mean.get(name, 0.0) + hidden + 1e-4 * rng.normal()
        failed = (name, trial.seed) in self.fails
        row = {
            "key": trial.key,
            "sweep": "looked_study",
            "arm": name,
            "factor": trial.arm.factor,
            "level": trial.arm.level,
        }
        row |= {"seed": trial.seed, "provenance": self.provenance, "attempt": 1, **config_columns(trial.config.flat())}
        row |= (
            {"status": "failed", "error": "E: no"}
            if failed
            else {"status": "complete", "test/mask_iou": value, **self.images, "cost/flops": 1e6, "cost/train_s": 0.1}
        )
        log.write_trial(row)


def looks(log: RunLog) -> dict[tuple[int, str], str]:
    return {(test["look"], test["arm"]): test["verdict"] for test in log.read_looks()}
