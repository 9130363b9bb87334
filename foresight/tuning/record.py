"""From a planned trial to its row in the run log, wherever it runs: in a Ray worker, or in this process with --one."""

import bdb
import contextlib
import dataclasses
import os
import platform
import shutil
import socket
import subprocess
import traceback
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foresight.config import TrialConfig
from foresight.errors import RunEndedError, find_disk_error, find_storage_error
from foresight.redaction import redact
from foresight.runlog import RunLog, config_columns
from foresight.space import Trial
from foresight.split_log import write_split
from foresight.tuning.gpu_share import GpuShare
from foresight.tuning.out_of_memory import OutgrownError, check_refused, has_outgrown, is_out_of_memory
from foresight.tuning.ray_runtime import REPOSITORY

if TYPE_CHECKING:
    from foresight.features.stage import StagedData
    from foresight.train.loop import SavedTraining
    from foresight.train.parallel import Ranks
    from foresight.train.task import Context

ERROR_LENGTH = 2000  # characters of a failure's message that the run log keeps


@dataclasses.dataclass(frozen=True)
class Planned:
    """A trial with the names that its row carries; small and picklable, so that it can travel to a worker."""

    trial: Trial
    sweep: str
    attempt: int
    keep_weights: bool = False  # another study continues with the trained model
    claim_hash: str | None = None  # of the claim that was registered when the trial began
    raced: str = ""  # column of the epochs by which a scheduler may stop it; empty: it runs to its end
    timed: bool = False  # its latency is measured with it, for a search that weighs it
    judged: int = 0  # epochs by which the scheduler has let an earlier attempt go on
    share: GpuShare | None = None  # of a GPU that it may share with other trials; None: nothing is packed

    @property
    def key(self) -> str:
        return self.trial.key

    def identity(self) -> dict[str, Any]:
        """The columns of the row that are known before it runs."""
        arm = self.trial.arm
        return {
            "key": self.key,
            "sweep": self.sweep,
            "arm": arm.name,
            "factor": arm.factor,
            "level": arm.level,
            "seed": self.trial.seed,
            "attempt": self.attempt,
            "provenance": "trained",
            "env/claim_hash": self.claim_hash,
            **({} if self.share is None else {"env/gpu_share": self.share.frac}),
            **config_columns(self.trial.config.flat()),
        }


def write_failure(log: RunLog, planned: Planned, message: str) -> None:
    """A trial that failed is a row as well, with its message."""
    row = planned.identity() | {
        "status": "failed",
        "error": redact(message)[:ERROR_LENGTH],
        **environment_columns(),
        **end_columns(),
    }
    with _disk_errors_said(log, planned):
        log.write_trial(row, config=planned.trial.config.model_dump(mode="json"))


def check_storage(planned: Planned, error: BaseException | None) -> None:
    """Raises RunEndedError where a disk or an object store is behind the error: it took no checkpoint, or gave no features.

    That is nothing of the trial's, and each of the others would fail in its turn.
    """
    broken = find_disk_error(error) or find_storage_error(error)
    if broken is not None:
        where = f"{broken.filename}: " if broken.filename else ""
        raise RunEndedError(
            f"trial {planned.key} cannot go on at {socket.gethostname()} ({where}{broken.strerror or broken}); every finished "
            "trial is kept, and the same command goes on here"
        ) from error


def write_error(log: RunLog, planned: Planned, error: Exception) -> None:
    """The failed row of a trial that raised.

    Writes none and raises OutgrownError where a larger share of a GPU may help, and as `check_storage`.
    """
    if has_outgrown(planned, error):
        raise OutgrownError from error
    check_storage(planned, error)
    alone = "with a whole GPU: " if planned.share is not None and planned.share.is_whole else ""
    write_failure(log, planned, f"{alone if is_out_of_memory(error) else ''}{describe(error)}")


def write_stopped(
    log: RunLog,
    planned: Planned,
    epochs: Sequence[Mapping[str, Any]],
    environment: Mapping[str, Any],
    gpus: float,
    trial_s: float,
) -> None:
    """A trial that a scheduler stopped is a row as well: how far it came, and what the validation images said then.

    Written by the driver, which hears of the decision first: the trial's process only learns of it with its next trial.
    It was started `trial_s` seconds ago, and has held so many GPUs since.
    """
    last = epochs[-1]
    row = planned.identity() | {"status": "stopped", **environment, **end_columns()}
    row |= {name: value for name, value in last.items() if name.startswith("val/")}
    # Of a training that was gone on with, what it took before is part of `wall_s`.
    row |= {"train/epochs_run": last["epoch"], "cost/train_s": last["wall_s"], "cost/gpu_s": last["wall_s"] * gpus}
    row |= {"cost/trial_s": max(trial_s, last["wall_s"])}
    with _disk_errors_said(log, planned):
        log.write_trial(row, config=planned.trial.config.model_dump(mode="json"), epochs=epochs)


def record_trial(
    log: RunLog,
    planned: Planned,
    data: "StagedData | None",
    context: "Context",
    saved: "SavedTraining | None" = None,
    ranks: "Ranks | None" = None,
) -> Generator[dict[str, float], None, Exception | None]:
    """Runs a trial and writes it to the run log. Yields its epoch rows; returns what made it fail, if it did.

    A trial that raises ends as a row with status `failed` and the exception's message, and the iteration ends: a bad
    arm must not stop the sweep. An interrupt is no failure; it leaves no row, so the trial runs again on resume. Nor is
    being told to end, which leaves its row to who told it, nor a debugger that is left. `saved` and `ranks` are `run_trial`'s.
    Raises RunEndedError when the row cannot be written: then the next ones cannot be, either; and without a row OutgrownError,
    for a trial that needs a larger share of a GPU, and LostPeerError, for one that has lost a worker and is tried again.
    """
    import safetensors.torch

    from foresight.train.loop import ToldToEndError
    from foresight.train.parallel import LostPeerError
    from foresight.train.trial import run_trial

    running = run_trial(planned.trial.config, data, context, saved, ranks)
    try:
        result = yield from running
        check_refused(planned, result.columns)
        if planned.timed:
            result.columns["cost/latency_ms"] = measure_latency(planned.trial.config, context)
    except ToldToEndError:
        return None
    except (OutgrownError, LostPeerError, bdb.BdbQuit):
        raise
    except Exception as error:
        write_error(log, planned, error)
        return error
    environment = environment_columns() | {"env/device": context.device, "env/workers": ranks.size if ranks else 1}
    with _disk_errors_said(log, planned):
        for split in (data.train, data.val, data.test, *data.heldout.values()) if data is not None else ():
            write_split(log, split.sample_hash)
        log.write_trial(
            planned.identity() | {"status": "complete", **result.columns, **environment, **end_columns()},
            config=planned.trial.config.model_dump(mode="json"),
            epochs=result.epochs,
            samples=result.samples,
            pictures=result.pictures,
            weights=safetensors.torch.save(result.weights) if planned.keep_weights else None,
        )
    return None


def has_its_row(log: RunLog, planned: Planned) -> bool:
    """Whether this attempt of the trial, or one of its retries, has ended with a row: then nothing of it runs again."""
    log.refresh_trial(planned.key)  # it may have run on another machine
    try:
        return bool(log.read_trial(planned.key)["attempt"] >= planned.attempt)
    except (FileNotFoundError, NotADirectoryError):
        return False


def measure_latency(config: TrialConfig, context: "Context") -> float:
    """Milliseconds of the whole pipeline, measured after the training in its process; its encoders are kept for the next."""
    from foresight.train.latency import Pipeline

    return float(Pipeline(context.device, context.encoders).measure(config)["latency_ms"])


@contextlib.contextmanager
def _disk_errors_said(log: RunLog, planned: Planned) -> Iterator[None]:
    """Raises RunEndedError for a disk that does not take a trial's files."""
    try:
        yield
    except OSError as error:
        raise RunEndedError(
            f"trial {planned.key} cannot be written to {log} ({error.strerror or error}); every trial that is "
            "there is kept, and the same command goes on once the others can be written"
        ) from error


def describe(error: BaseException) -> str:
    """`DivergedError: the loss became nan between steps 33 and 64 (loop.py:102)`."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


@cache
def environment_columns() -> dict[str, Any]:
    """`env/*`: host, versions, git commit and the settings that may move a number's last digits."""
    import torch

    return {
        "env/host": socket.gethostname(),
        "env/python": platform.python_version(),
        "env/torch": torch.__version__,
        "env/platform": platform.platform(),
        "env/threads": torch.get_num_threads(),
        "env/git_commit": git_commit(),
        "env/pid": os.getpid(),
    }


def end_columns() -> dict[str, Any]:
    """When a trial ended, in the row itself: the time of its file is lost when a run log is copied."""
    return {"env/ended": datetime.now(UTC).isoformat(timespec="milliseconds")}


def git_commit(repository: Path = REPOSITORY) -> str:
    """The commit of the code that runs, with `-dirty` when tracked files differ from it.

    In an image, which has no history, it is what the file COMMIT says; `unknown` where nothing says it.
    """
    written = repository / "COMMIT"
    if written.is_file():
        return written.read_text().strip()
    if shutil.which("git") is None:
        return "unknown"
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    described = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    return described.stdout.strip() or "unknown"
