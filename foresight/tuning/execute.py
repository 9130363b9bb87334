"""Running what was planned: features, the sensitivity check, the trials through Ray Tune, then latency arm by arm."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from foresight.claim import Claim
from foresight.config import TrialConfig
from foresight.errors import RunEndedError, find_disk_error, find_ended, find_storage_error
from foresight.features.keys import entries_of
from foresight.features.requests import discard_corrupt, missing_requests
from foresight.runlog import RunLog
from foresight.side_costs import SideCosts
from foresight.space import Arm, Trial
from foresight.tuning import tasks
from foresight.tuning.feature_pool import fill_cache
from foresight.tuning.in_place import result_in_place
from foresight.tuning.memory_kills import taken_for_losses
from foresight.tuning.memory_probe import run_memory_probe
from foresight.tuning.mirroring import Mirror
from foresight.tuning.packing import Packing, describe_parts, load_needs, load_packing
from foresight.tuning.progress import SweepProgress
from foresight.tuning.record import Planned
from foresight.tuning.so_far import SoFar
from foresight.tuning.sweep import RETRIES, Placement

if TYPE_CHECKING:
    from foresight.tuning.proposals import Proposals
    from foresight.tuning.recorder import TrialRecorder


class Runner:
    """One run of a sweep on a Ray that has been started."""

    def __init__(
        self,
        ray: Any,
        log: RunLog,
        placement: Placement,
        claim: Claim,
        console: Console,
        so_far: SoFar | None = None,  # of a command with several such runs
    ):
        self.so_far = so_far or SoFar()
        self.ray, self.log, self.placement, self.claim, self.console = ray, log, placement, claim, console
        self.resources = {"num_cpus": 1, "num_gpus": placement.gpus}

    def check_sensitivity(self, arms: list[Arm]) -> dict[str, float]:
        """Arm name to the change of the model's output against the baseline. Raises InertFactorError."""
        self.console.print(f"checking that each of {len(arms) - 1} arms changes the model's output ...")
        return self._result(self._task(tasks.run_sensitivity, arms, self.placement), "sensitivity")

    def pretrain_decoders(self, trials: Sequence[Trial]) -> None:
        """Pretrains the toy decoder if it is missing, before anything of the trials: their models cannot be built without."""
        configs = [trial.config for trial in trials if "ltx" in entries_of(trial.config)]
        store = self.placement.store()
        discard_corrupt(configs, store)
        if any(request.kind == "ltx" for stage in missing_requests(configs, store) for request in stage):
            self.console.print("pretraining the toy LTX-Video, once on this machine: about a minute ...")
            fill_cache(self.ray, configs, self.placement, self.console, ("ltx",), SideCosts(self.log))

    def compute_features(self, trials: Sequence[Trial]) -> None:
        """Computes the store entries that are missing, as many shards at once as there are slots."""
        configs = [trial.config for trial in trials]
        discard_corrupt(configs, self.placement.store())
        fill_cache(self.ray, configs, self.placement, self.console, costs=SideCosts(self.log))

    def plan_packing(self, arms: Sequence[Arm]) -> Packing:
        """Which shares of GPUs trials get. Measures those of the arms whose need of memory is not on record."""
        probe = self.ray.remote(num_cpus=1, num_gpus=self.placement.gpus, max_retries=0, max_calls=1)(run_memory_probe)
        needs = load_needs(self.log)
        known = {key for key, need in needs.items() if need.peak_mb is not None}
        unknown = [arm for arm in arms if arm.config.is_trained and arm.config.arm_key not in known]
        if unknown:
            self.console.print(f"measuring what {len(unknown)} arms need of a GPU's memory ...")
        # Where all are known the GPU alone is looked at: it may be another than they were measured on.
        configs: list[TrialConfig | None] = [arm.config for arm in unknown] or [None]
        started = [probe.remote(config, self.placement) for config in configs]
        probed = [self._result(reference, "memory") for reference in started]
        overhead_mb = max(p.reading.overhead_mb for p in probed)
        packing = load_packing(self.log, min(p.reading.total_mb for p in probed), overhead_mb)
        assert packing is not None
        for arm, found in zip(unknown, probed, strict=False):
            if found.failed:
                self.console.print(
                    f"{arm.name} could not be measured ({found.failed}); it gets as much as the arm that needs most",
                    soft_wrap=True,
                )
            else:
                packing.measure(arm, found.reading.peak_mb)
        return packing

    def run_trials(self, planned: Sequence[Planned], packing: Packing | None = None) -> None:
        """Runs every planned trial. Each ends as a row of the run log, also when its process is killed from outside."""
        from foresight.tuning.in_order import InOrder

        configs = {item.trial.config.arm_key: item.trial.config for item in planned}.values()
        self._say_packing(packing, configs)
        started = time.monotonic()
        self._tune(lambda progress: InOrder(planned, packing, progress.say), len(planned), packing=packing)
        self.so_far.trials_wall_s += time.monotonic() - started

    def run_search(
        self,
        proposals: "Proposals",
        planned: Callable[[Trial], Planned],
        scheduler: Any,
        ended: Callable[[], None],
        packing: Packing | None = None,
    ) -> None:
        """Runs what a search proposes, until it is over. `ended` is called after each trial."""
        from foresight.tuning.search_alg import ProposalSearcher

        def searcher(progress: SweepProgress) -> ProposalSearcher:
            def tell(n_left: int) -> None:
                progress.expect(n_left + 1)  # the trial that has just ended is counted next
                ended()

            return ProposalSearcher(proposals, self.log, planned, tell, packing, progress.say)

        self._tune(searcher, proposals.n_left, scheduler, packing)

    def _tune(
        self,
        build_searcher: Callable[[SweepProgress], Any],
        n_pending: int,
        scheduler: Any = None,
        packing: Packing | None = None,
    ) -> None:
        from ray import tune

        from foresight.tuning.first_come import FirstCome
        from foresight.tuning.recorder import TrialRecorder
        from foresight.tuning.sweep_metrics import SweepMetrics
        from foresight.tuning.trainable import TrialActor
        from foresight.tuning.waiting import PlaceWatch, WorkerWatch
        from foresight.tuning.workers import SharedTrial

        is_shared = self.placement.workers > 1
        at_once = self.placement.slots if packing is None else self.placement.pack
        progress = SweepProgress(self.console, n_pending, at_once, self.claim.primary)
        trainable = tune.with_parameters(
            SharedTrial if is_shared else TrialActor, placement=self.placement, claim=self.claim, log=self.log
        )
        recorder = TrialRecorder(self.log, self.claim.primary, progress, self.placement.trial_gpus)
        watch: tune.Callback = PlaceWatch(self.ray, recorder, progress, self.placement)
        if is_shared:
            watch = WorkerWatch(self.ray, self.log, progress, self.placement.wait_s)
        gpus, primary = self.placement.trial_gpus, self.claim.primary
        watched = SweepMetrics(self.log, lambda: progress.n_waiting, primary, gpus, self.so_far)
        # Tune insists on a directory for its own snapshots; the run log is the truth, so they go when the run ends.
        with (
            Mirror(self.log, self.placement, self.console).running(),
            tempfile.TemporaryDirectory(prefix="foresight-tune-") as scratch,
            progress,
            _ended_in_a_sentence(recorder),
            taken_for_losses(),
        ):
            tune.Tuner(
                tune.with_resources(trainable, self._trial_resources(is_shared, packing is not None)),
                tune_config=tune.TuneConfig(
                    search_alg=build_searcher(progress),
                    scheduler=scheduler or FirstCome(),
                    num_samples=-1,  # as many as the searcher has
                    reuse_actors=True,
                    max_concurrent_trials=at_once,  # of packed trials Ray lets run what fits on the GPUs
                    trial_dirname_creator=lambda trial: trial.trial_id,
                ),
                run_config=tune.RunConfig(
                    storage_path=scratch,
                    verbose=0,
                    callbacks=[recorder, watched, watch],  # in this order
                    failure_config=tune.FailureConfig(max_failures=RETRIES, fail_fast=False),
                ),
            ).fit()

    def _say_packing(self, packing: Packing | None, configs: Iterable[TrialConfig]) -> None:
        if packing is not None:
            self.console.print(f"sharing GPUs: {describe_parts(packing.count_parts(configs))}", soft_wrap=True)

    def _trial_resources(self, is_shared: bool, is_packed: bool) -> Any:
        """What Tune's process of a trial takes: where workers do the work nothing of what they need.

        Tune uses a process again only for trials that ask for the same, so packed ones find in it the share that they need.
        """
        from ray import tune

        if is_packed:
            return lambda config: tune.PlacementGroupFactory(
                [{"CPU": 1.0, "GPU": config["planned"].planned.share.ray_gpus}]
            )
        if is_shared:  # Ray refuses a process that asks for nothing at all
            return tune.PlacementGroupFactory([{"node:__internal_head__": 0.001}])
        return {"cpu": 1, "gpu": self.placement.gpus}

    def measure_latency(self, arms: list[Arm]) -> None:
        """Writes a latency row for each arm, measured one at a time on a machine that runs nothing else of ours."""
        if arms:
            self.console.print(f"measuring the latency of {len(arms)} arms, one at a time ...")
            self._result(self._task(tasks.run_latency, arms, self.placement, self.log), "latency")
            self.log.refresh()

    def _result(self, task: Any, work: str) -> Any:
        """What a `timed` task has found; its time is added to the study's account."""
        taken = result_in_place(self.ray, task, self.placement, self.console)
        costs = SideCosts(self.log)
        costs.add(work, taken.seconds, self.placement.gpus)
        costs.write()
        return taken.result

    def _task(self, function: Any, *arguments: Any) -> Any:
        # A failed task is our own error: retrying it would only hide it.
        remote = self.ray.remote(**self.resources, max_retries=0)(function)
        return remote.remote(*arguments)


@contextlib.contextmanager
def _ended_in_a_sentence(recorder: "TrialRecorder") -> Iterator[None]:
    """Raises RunEndedError for what Tune makes a page of: a trial that cannot be written, or its own full disk."""
    try:
        yield
    except Exception as error:
        full, away = find_disk_error(error), find_storage_error(error)
        ended = recorder.ended or find_ended(error)
        if ended is not None:
            raise RunEndedError(str(ended)) from error
        if away is not None:
            raise RunEndedError(f"{away}; every finished trial is kept, and the same command goes on here") from error
        if full is not None:
            raise RunEndedError(
                f"Ray Tune cannot write to {tempfile.gettempdir()} ({full.strerror}); every finished trial is kept, and "
                "the same command goes on here once there is room"
            ) from error
        raise
