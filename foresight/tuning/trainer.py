"""One run of Ray Train for one trial; it imports torch, as Train does."""

import math
import tempfile
import uuid
from typing import Any

from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2.api.callback import UserCallback
from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig
from ray.train.v2.torch.torch_trainer import TorchTrainer

from foresight.tuning.process_group import GroupConfig
from foresight.tuning.scratch import TrialScratch
from foresight.tuning.sweep import RETRIES
from foresight.tuning.worker_part import SharedJob, take_part


def fit_workers(job: SharedJob, start_timeout_s: float) -> None:
    """Runs `take_part` in every worker, and again after some were lost. Raises what Train does when that fails.

    Train insists on a folder, and gets none of our checkpoints: one of this machine will do, and goes when the run ends. What
    cannot be removed of it must not hide how the run ended.
    """
    with tempfile.TemporaryDirectory(prefix="foresight-train-", ignore_cleanup_errors=True) as folder:
        build_trainer(job, start_timeout_s, folder).fit()


def build_trainer(job: SharedJob, start_timeout_s: float, folder: str) -> "QuietTrainer":
    """The run of one trial."""
    placement = job.placement
    per_worker = {"CPU": 1.0, **({"GPU": placement.gpus} if placement.gpus else {})}
    return QuietTrainer(
        take_part,
        train_loop_config={"job": job},
        torch_config=GroupConfig(backend="cpu:gloo,cuda:nccl" if placement.gpus else "gloo"),
        scaling_config=ScalingConfig(num_workers=placement.workers, resources_per_worker=per_worker),
        run_config=RunConfig(
            name=uuid.uuid4().hex,  # a name that was used before would be gone on with, which is our checkpoint's task
            storage_path=folder,
            callbacks=[WaitsAgain(job)],
            failure_config=FailureConfig(
                max_failures=RETRIES,
                max_preemption_failures=RETRIES,
                controller_failure_limit=max(0, math.ceil(placement.wait_s / start_timeout_s) - 1),
            ),
        ),
    )


class QuietTrainer(TorchTrainer):
    """A TorchTrainer without the detached actor that waits for the dashboard to say that the run has died."""

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()
        return [callback for callback in callbacks if not isinstance(callback, PlacementGroupCleanerCallback)]


class WaitsAgain(UserCallback):
    """Says that a trial which has lost a worker waits for new ones. Runs in the controller of Train."""

    def __init__(self, job: SharedJob):
        self.job = job

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        scratch = TrialScratch(self.job.log, self.job.planned.key)
        scratch.wait_for(self.job.placement.describe_workers())
