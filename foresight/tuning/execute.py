"""Running what was planned: features, the sensitivity check, the trials through Ray Tune, then latency arm by arm."""

import tempfile
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from foresight.claim import Claim
from foresight.errors import RequestError
from foresight.features.keys import entries_of
from foresight.features.requests import Request, discard_corrupt, missing_requests
from foresight.features.store import ArrayStore
from foresight.runlog import RunLog
from foresight.space import Arm, Trial
from foresight.tuning import tasks
from foresight.tuning.progress import SweepProgress
from foresight.tuning.record import Planned
from foresight.tuning.sweep import Placement


class Runner:
    """One run of a sweep on a Ray that has been started."""

    def __init__(self, ray: Any, log: RunLog, placement: Placement, claim: Claim, console: Console):
        self.ray, self.log, self.placement, self.claim, self.console = ray, log, placement, claim, console
        self.resources = {"num_cpus": 1, "num_gpus": placement.gpus}

    def check_sensitivity(self, arms: list[Arm]) -> dict[str, float]:
        """Arm name to the change of the model's output against the baseline. Raises InertFactorError."""
        self.console.print(f"checking that each of {len(arms) - 1} arms changes the model's output ...")
        return self._result(self._task(tasks.run_sensitivity, arms, self.placement))

    def pretrain_decoders(self, trials: Sequence[Trial]) -> None:
        """Pretrains the toy decoders that are missing, before anything of the trials: their models cannot be built without."""
        for stage in self._missing([trial for trial in trials if "ltx" in entries_of(trial.config)]):
            self._compute([request for request in stage if request.kind == "ltx"])

    def compute_features(self, trials: Sequence[Trial]) -> None:
        """Computes the store entries that are missing, as many at once as there are slots."""
        for stage in self._missing(trials):
            self._compute(stage)

    def _missing(self, trials: Sequence[Trial]) -> list[list[Request]]:
        store = ArrayStore(self.placement.cache)
        configs = [trial.config for trial in trials]
        discard_corrupt(configs, store)
        return missing_requests(configs, store)

    def _compute(self, requests: list[Request]) -> None:
        for request in requests:
            if request.kind == "ltx":
                self.console.print("pretraining the toy LTX-Video, once on this machine: about a minute ...")
        running = [self._task(tasks.run_extraction, request, self.placement) for request in requests]
        while running:
            done, running = self.ray.wait(running)
            for task in done:
                self.console.print(f"computed {self._result(task)}")

    def run_trials(self, planned: Sequence[Planned]) -> None:
        """Runs every planned trial. Each ends as a row of the run log, also when its process is killed from outside."""
        from ray import tune

        from foresight.tuning.recorder import TrialRecorder
        from foresight.tuning.trainable import TrialActor

        by_key = {item.key: item for item in planned}
        progress = SweepProgress(self.console, len(by_key), self.placement.slots, self.claim.primary)
        trainable = tune.with_parameters(
            TrialActor, planned=by_key, placement=self.placement, claim=self.claim, study_dir=self.log.root
        )
        # Tune insists on a directory for its own snapshots; the run log is the truth, so they go when the run ends.
        with tempfile.TemporaryDirectory(prefix="foresight-tune-") as scratch, progress:
            tune.Tuner(
                tune.with_resources(trainable, {"cpu": 1, "gpu": self.placement.gpus}),
                param_space={"key": tune.grid_search(list(by_key))},
                tune_config=tune.TuneConfig(
                    reuse_actors=True,
                    max_concurrent_trials=self.placement.slots,
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=tune.RunConfig(
                    storage_path=scratch,
                    verbose=0,
                    callbacks=[TrialRecorder(self.log, by_key, self.claim.primary, progress)],
                    failure_config=tune.FailureConfig(max_failures=0, fail_fast=False),
                ),
            ).fit()

    def measure_latency(self, arms: list[Arm]) -> None:
        """Writes a latency row for each arm, measured one at a time on a machine that runs nothing else of ours."""
        if arms:
            self.console.print(f"measuring the latency of {len(arms)} arms, one at a time ...")
            self._result(self._task(tasks.run_latency, arms, self.placement, self.log.root))

    def _task(self, function: Any, *arguments: Any) -> Any:
        # A failed task is our own error: retrying it would only hide it.
        remote = self.ray.remote(**self.resources, max_retries=0)(function)
        return remote.remote(*arguments)

    def _result(self, task: Any) -> Any:
        """What a task returns. A wrong request that it found is raised here without Ray's account of it."""
        try:
            return self.ray.get(task)
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, RequestError):
                raise error.cause from error
            raise
