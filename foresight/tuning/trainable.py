"""The Tune class trainable. One process runs many trials: torch, the staged features and LPIPS stay loaded between them."""

import math
from collections.abc import Iterator
from typing import Any

from ray import tune

from foresight.claim import Claim
from foresight.run_folder import bring_weights
from foresight.runlog import RunLog
from foresight.tuning.context import worker_context
from foresight.tuning.record import Planned, describe, environment_columns, record_trial, write_failure
from foresight.tuning.sweep import Placement

RACED = "raced"  # what a scheduler reads of an epoch; only trials that may be stopped report it


class TrialActor(tune.Trainable):
    """Runs the trial `config["planned"]`; a step is an epoch. Reused for the next trial by `reset_config`."""

    def setup(
        self,
        config: dict[str, Any],
        placement: Placement | None = None,
        claim: Claim | None = None,
        log: RunLog | None = None,
    ) -> None:
        assert placement is not None and claim is not None and log is not None

        self.placement = placement
        self.log = log
        self.primary = claim.primary
        self.store = placement.store()
        self.context = worker_context(placement)
        self.staged: tuple[str, Any] = ("", None)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.planned: Planned = new_config["planned"]
        self.epochs = self._run(self.planned)  # a trial that was stopped ends here, without a row of its own
        return True

    def step(self) -> dict[str, Any]:
        row = next(self.epochs, None)
        if row is None:
            return {"key": self.planned.key, "done": True}
        result = {"key": self.planned.key, "done": False, "epoch": row["epoch"]}
        if self.planned.raced:
            result |= {"row": row, "environment": environment_columns() | {"env/device": self.context.device}}
            is_last = row["epoch"] >= self.planned.trial.config.recipe.epochs
            if not is_last and math.isfinite(row.get(self.planned.raced, math.nan)):
                result[RACED] = row[self.planned.raced]
        return result

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: the run log is the truth, and a trial that did not finish runs again."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: see `save_checkpoint`."""

    def _run(self, planned: Planned) -> Iterator[dict[str, float]]:
        from foresight.features.requests import needed_entries
        from foresight.features.stage import stage

        config = planned.trial.config
        if not config.is_trained:
            yield from record_trial(self.log, planned, None, self.context)
            return
        continued = config.continued()
        if continued is not None:
            bring_weights(self.placement.place_of_runs, continued.key)
        entries = " ".join(sorted(needed_entries([config])))
        if self.staged[0] != entries:
            self.staged = ("", None)  # let go of the old features before loading the new
            try:
                self.staged = (entries, stage(config, self.store, self.placement.device))
            except Exception as error:
                write_failure(self.log, planned, describe(error))
                return
        yield from record_trial(self.log, planned, self.staged[1], self.context)
