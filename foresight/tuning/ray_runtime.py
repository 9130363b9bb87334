"""Starting Ray quietly, on this machine or in the cluster the script was submitted to."""

import contextlib
import logging
import os
import secrets
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from foresight.errors import RequestError, RunEndedError, StorageError, describe_damage
from foresight.tuning.ray_address import check_address, is_on_the_loopback_alone

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray's paragraph on a lost process goes past `log_to_driver`; the trial's row and our line about it say the same.
    "RAY_DEDUP_LOGS_SKIP_REGEX": "A worker died or was killed",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the run log is the record; Tune's own would be a second one
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours: it must end within seconds
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # trials that no scheduler may stop report nothing to it
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Tune's snapshot is never read back
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}

# Ray's own name for it. Without it Ray takes the machine's address where it is given 127.0.0.1, to listen and to connect.
LOOPBACK_SWITCH = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"

HERE = ("", "local")  # of RAY_ADDRESS: no cluster, but a Ray of this command alone

_started: list[Any] = []  # the ray module, once for each time that the outermost block has needed it

REPOSITORY = Path(__file__).resolve().parents[2]


class LostProcessError(RunEndedError):
    """A process was lost that Ray does not start again by itself."""


def in_cluster() -> bool:
    """Whether this process was told of a running Ray cluster (inside a Ray job, or RAY_ADDRESS is set)."""
    return os.environ.get("RAY_ADDRESS", "") not in HERE


def start_ray(slots: int | None) -> Any:
    """Connects to the cluster this process belongs to, or starts Ray here with `slots` CPUs. Returns the ray module.

    Raises KeyboardInterrupt when the process is told to end (SIGTERM) meanwhile, RequestError when no cluster answers.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if not in_cluster():
        _keep_to_this_machine()
    elif is_on_the_loopback_alone(os.environ["RAY_ADDRESS"]):
        os.environ.setdefault(LOOPBACK_SWITCH, "0")
    warnings.filterwarnings("ignore", category=FutureWarning, module="ray")
    import ray

    if ray.is_initialized():  # `cluster_gpus` has connected already
        return ray
    try:
        _init(ray, slots)
    except SystemExit as error:  # Ray's own answer to SIGTERM while it starts
        raise KeyboardInterrupt from error
    except (ConnectionError, ValueError, RuntimeError) as error:
        if isinstance(error, RequestError) or not in_cluster():
            raise
        raise RequestError(
            f"Ray cannot connect to the cluster of RAY_ADDRESS '{os.environ['RAY_ADDRESS']}' ({describe_damage(error)}); unset "
            "it to run here"
        ) from error
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a failed trial is a row and one line of ours
    return ray


@contextlib.contextmanager
def running_ray(slots: int) -> Iterator[Any]:
    """The ray module, started for the block, or for the `keeping_ray` around it.

    Raises RunEndedError where the cluster's head is lost amid the block.
    """
    with keeping_ray():
        ray = start_ray(slots)
        from ray.exceptions import AuthenticationError, RpcError

        _started.append(ray)
        signal.signal(signal.SIGTERM, _interrupt)  # again: Ray has set its own, which exits at once
        try:
            yield ray
        # To a head that was started anew this driver belongs to another cluster, and Ray says that its token is wrong.
        except (RpcError, AuthenticationError) as error:
            raise RunEndedError(
                f"the head of the cluster cannot be reached any more, or was started anew ({type(error).__name__}); what is "
                "finished is kept, and the same command goes on here"
            ) from error


@contextlib.contextmanager
def keeping_ray() -> Iterator[None]:
    """Ray ends with the outermost of these blocks, if anything in it has started it.

    A scheduler's SIGTERM is an interrupt in the block, as Ctrl-C is.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        if before is not _interrupt:  # this is the outermost
            if _started:
                _started[0].shutdown()
            _started.clear()
            signal.signal(signal.SIGTERM, before)


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def result_of(ray: Any, task: Any) -> Any:
    """What a task returns. An error that a sentence can say is raised here without Ray's account of it.

    Raises LostProcessError for a process that was lost with its machine or for want of memory; else that of an actor stays
    Ray's own.
    """
    lost = ray.exceptions
    try:
        return ray.get(task)
    except (lost.WorkerCrashedError, lost.NodeDiedError, lost.LocalRayletDiedError, lost.OutOfMemoryError) as error:
        raise LostProcessError(
            f"a process that worked for this run was lost ({type(error).__name__}), with its machine or for want of memory; "
            "what is finished is kept, and the same command goes on here"
        ) from error
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, RequestError | RunEndedError | StorageError):
            raise error.cause from error
        raise


def cluster_gpus() -> float:
    """GPUs of the cluster this process belongs to, or of this machine."""
    if in_cluster():
        return float(start_ray(None).cluster_resources().get("GPU", 0))
    n_here = len(list(Path("/dev").glob("nvidia[0-9]*")))
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is None:
        return float(n_here)
    # Ray offers what is visible: up to the first name that is none, as CUDA reads it.
    names = [name.strip() for name in shown.split(",")]
    n_visible = next((i for i, name in enumerate(names) if name in ("", "-1", "NoDevFiles")), len(names))
    return float(min(n_here, n_visible))


def cluster_cpus() -> int:
    """CPU cores of the cluster this process belongs to, or of this machine."""
    if in_cluster():
        return int(start_ray(None).cluster_resources().get("CPU", 0))
    return os.cpu_count() or 1


def _init(ray: Any, slots: int | None) -> None:
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False, "configure_logging": True}
    # Workers do not get this process's sys.path, and it may have been started from any directory.
    python_path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    if in_cluster():
        check_address(os.environ["RAY_ADDRESS"])
        # In a job the job's working directory is on every worker's path.
        in_job = "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ
        ray.init(runtime_env=None if in_job else {"env_vars": {"PYTHONPATH": python_path}}, **quiet)
        return
    os.environ["PYTHONPATH"] = python_path
    ray.init(
        address="local",
        num_cpus=slots,
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        object_store_memory=256 * 2**20,  # features travel by memory map, not through Ray
        **quiet,
    )


def _keep_to_this_machine() -> None:
    """What a laptop's Ray is told before it is imported: to listen on the loopback alone, and to answer only this run."""
    os.environ.setdefault(LOOPBACK_SWITCH, "0")
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # of this run; Ray would keep one in a file
