"""The Tune class trainable. One process runs many trials: torch, the staged features and LPIPS stay loaded between them."""

import math
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ray import tune

from foresight.claim import Claim
from foresight.config import TrialConfig
from foresight.run_folder import bring_weights
from foresight.runlog import RunLog
from foresight.tuning.context import worker_context
from foresight.tuning.out_of_memory import JUDGED, OUTGREW, OutgrownError, has_outgrown
from foresight.tuning.record import Planned, environment_columns, has_its_row, record_trial, write_error
from foresight.tuning.scratch import TrialScratch
from foresight.tuning.sweep import Placement

if TYPE_CHECKING:
    from foresight.features.stage import StagedData
    from foresight.train.task import Context

CHECKPOINT_S = 30.0  # a lost process costs at most so much of a trial's training; most trials at toy size are shorter
RACED = "raced"  # what a scheduler reads of an epoch; only trials that may be stopped report it


class TrialActor(tune.Trainable):
    """Runs the trial of the ticket `config["planned"]`; a step is an epoch. Reused for the next trial by `reset_config`."""

    epochs: Generator[dict[str, float], None, None] | None = None
    context: "Context | None" = None

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
        self.staged: tuple[str, StagedData | None] = ("", None)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.cleanup()
        self.planned: Planned = new_config["planned"].planned
        self.judged = self.planned.judged
        self.epochs = self._run(self.planned)
        return True

    def cleanup(self) -> None:
        """Ends what is left of the trial before: one that was stopped ends here, without a row of its own."""
        if self.epochs is not None:
            self.epochs.close()

    def step(self) -> dict[str, Any]:
        assert self.epochs is not None
        try:
            row = next(self.epochs, None)
        except OutgrownError:
            return {"key": self.planned.key, "done": True, OUTGREW: self.planned.attempt, JUDGED: self.judged}
        if row is None:
            return {"key": self.planned.key, "done": True}
        result = {"key": self.planned.key, "done": False, "epoch": row["epoch"]}
        if self.planned.raced:
            result |= {"row": row, "environment": self.environment()}
            is_last = row["epoch"] >= self.planned.trial.config.recipe.epochs
            # The next attempt is another trial to Tune, and must not be in the race twice.
            is_new = row["epoch"] > self.judged
            if is_new and not is_last and math.isfinite(row.get(self.planned.raced, math.nan)):
                result[RACED], self.judged = row[self.planned.raced], int(row["epoch"])
        return result

    def environment(self) -> dict[str, Any]:
        """The `env/*` columns of a trial that is stopped now."""
        return environment_columns() | {"env/device": self.placement.device, "env/workers": 1}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: Tune's snapshots are never read back; `foresight.tuning.scratch` has the training's."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: see `save_checkpoint`."""

    def _run(self, planned: Planned) -> Generator[dict[str, float], None, None]:
        """The epochs of the trial's own training; none where its row is there already, as its process was lost later.

        Raises OutgrownError, without a row, for a trial that needs a larger share of its GPU.
        """
        if has_its_row(self.log, planned):
            return
        config, context = planned.trial.config, self._settle(planned)
        if not config.is_trained:
            yield from record_trial(self.log, planned, None, context)
            return
        try:
            continued = config.continued()
            if continued is not None:
                bring_weights(self.placement.place_of_runs, continued.key)
            data = self._stage(config)
        except Exception as error:
            write_error(self.log, planned, error)
            return
        scratch = TrialScratch(self.log, planned.key)
        saved = scratch.checkpoint(config, context, n_workers=1, every_s=CHECKPOINT_S)
        # Whatever else ends it leaves no row, and the checkpoint to the next attempt: a share of the GPU that was too small, a
        # full disk, or that this process is told to exit.
        try:
            yield from record_trial(self.log, planned, data, context, saved)
        except GeneratorExit:
            if has_its_row(self.log, planned):  # it was stopped
                scratch.remove_checkpoint()
            raise
        scratch.remove_checkpoint()

    def _settle(self, planned: Planned) -> "Context":
        """What this process keeps between trials, on the trial's share of the GPU. A process has one share for all its trials."""
        if self.context is None:
            share = planned.share
            try:
                if share is not None and not share.is_whole:
                    self.placement.accelerator.cap(share.frac, share.overhead_mb)
                self.context = replace(worker_context(self.placement), gpus=share.frac if share is not None else 1.0)
            except Exception as error:
                if has_outgrown(planned, error):
                    raise OutgrownError from error
                raise
        return self.context

    def _stage(self, config: TrialConfig) -> "StagedData":
        """The trial's data, kept for the next one that reads the same."""
        from foresight.features.requests import needed_entries
        from foresight.features.stage import stage

        entries = " ".join(sorted(needed_entries([config])))
        if self.staged[0] != entries:
            self.staged = ("", None)  # let go of the old features before loading the new
            self.staged = (entries, stage(config, self.store, self.placement.device))
        assert self.staged[1] is not None
        return self.staged[1]
