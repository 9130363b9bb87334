"""What is checked before anything is started: each wrong request ends here, in one sentence."""

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock, Timeout

from foresight.config import TOY_LTX, TrialConfig
from foresight.encoders.checkpoints import RANDOM, check_checkpoint, check_ltx_checkpoint
from foresight.encoders.shapes import checkpoint_name, feature_shapes
from foresight.errors import RequestError
from foresight.metrics.lpips_trunk import find_trunk
from foresight.runlog import RunLog, atomic_write_bytes
from foresight.space import Trial
from foresight.tuning.sweep import Placement, Sweep

BYTES_PER_TRIAL = 200_000  # epochs, samples, pictures and the row of one trial, rounded up
RESERVE_BYTES = 200 * 2**20  # what a machine needs to go on working


def check_readable(log: RunLog) -> None:
    """Raises RequestError when a file of the run log is damaged, before anything is added to it."""
    try:
        log.read_sweep(), log.read_manifest(), log.trials(), log.read_latency()
    except (pa.ArrowException, ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"a file of {log.root} cannot be read ({reason}); 'python -m analysis {log.root.name}' names it; "
            "restore it, or delete it if it is derived or a trial that can run again"
        ) from error


def check_ownership(log: RunLog, sweep: Sweep, baseline: TrialConfig) -> None:
    """Raises RequestError when the run directory holds another study, claim, scale or data set."""
    stored = log.read_sweep()
    if stored is None:
        return
    if stored["study"] != sweep.name:
        raise RequestError(
            f"{log.root} belongs to the study '{stored['study']}', not '{sweep.name}'; use another --runs"
        )
    if stored["claim_hash"] != sweep.claim.hash:
        raise RequestError(
            f"{log.root} belongs to another claim ({stored['claim_hash']}: {stored['claim']['statement']!r}), and this "
            f"sweep claims {sweep.claim.hash}; a claim is fixed before the run: use another --runs for a new one"
        )
    for name, ours in (
        ("scale", baseline.scale),
        ("data", {"name": baseline.data.name, "fingerprint": baseline.data.fingerprint}),
    ):
        if stored[name] != ours:
            raise RequestError(f"{log.root} holds trials with {name} {stored[name]}, not {ours}; use another --runs")


def check_same_arms(log: RunLog, trials: Iterable[Trial]) -> None:
    """Raises RequestError when an arm was planned at the same seed with another configuration."""
    manifest = log.read_manifest()
    if not len(manifest):
        return
    planned = {(arm, seed): key for arm, seed, key in manifest[["arm", "seed", "key"]].itertuples(index=False)}
    for trial in trials:
        known = planned.get((trial.arm.name, trial.seed), trial.key)
        if known != trial.key:
            raise RequestError(
                f"{log.root} was planned with other settings: its arm '{trial.arm.name}' at seed {trial.seed} is {known}, "
                f"and now it is {trial.key}; use another --runs, or move this one away"
            )


def check_checkpoints(configs: Iterable[TrialConfig]) -> None:
    """Raises RequestError for an encoder's checkpoint that is neither here nor to be had."""
    configs = list(configs)
    of_vlm = {c.vlm.checkpoint for c in configs if c.streams != "dinov2"}
    for name in sorted(of_vlm | {checkpoint_name(c.dinov2) for c in configs if c.streams != "vlm"}):
        if name != RANDOM:
            check_checkpoint(name)


def check_decoders(configs: Iterable[TrialConfig]) -> None:
    """Raises RequestError for a frozen decoder's checkpoint that is not to be had, or reads other tokens than it would get."""
    for config in {config.decoder: config for config in configs if config.decoder.name == "ltx"}.values():
        if config.decoder.checkpoint != TOY_LTX:
            check_ltx_checkpoint(config.decoder.checkpoint, config.decoder.caption_dim)


def check_budgets(configs: Iterable[TrialConfig]) -> None:
    """Raises RequestError when an adapter cannot have the number of parameters that it is labelled with."""
    with_adapter = [config for config in configs if config.bridge == "adapter"]
    if with_adapter:
        from foresight.models.budget import solve_size  # counts on modules, so it needs torch

        for config in with_adapter:
            solve_size(config.adapter, feature_shapes(config))


def check_machine(configs: Iterable[TrialConfig], placement: Placement, log: RunLog, cached: bool) -> None:
    """Raises RequestError for a missing LPIPS trunk, or a disk without room for what the trials will write."""
    configs = list(configs)
    find_trunk()
    check_disk(log.root, len(configs) * BYTES_PER_TRIAL, "the run log")
    check_disk(placement.cache, 0 if cached else feature_bytes(configs), "the feature cache")


def feature_bytes(configs: Iterable[TrialConfig]) -> int:
    """Size of the images and of the features of all distinct encoders, in half precision."""
    sizes: dict[tuple[str, str], int] = {}
    for config in configs:
        shapes = feature_shapes(config)
        n_images = config.data.n_train + config.data.n_val + config.data.n_test
        bytes_per_image = 3 * config.data.image_px**2 + 5 * config.data.target_px**2  # with targets, masks and content
        sizes["images", config.data.name] = n_images * bytes_per_image
        sizes["vlm", config.vlm.layer] = 2 * n_images * shapes.vlm_grid**2 * shapes.vlm_dim
        sizes["dinov2", config.dinov2.size] = 2 * n_images * shapes.spatial_grid**2 * shapes.spatial_dim
    return sum(sizes.values())


def check_disk(path: Path, n_bytes: int, purpose: str) -> None:
    """Raises RequestError unless `path` can be written and its disk has room for `n_bytes` and a reserve."""
    # os.access, as Path.exists raises where a parent may not be looked into.
    existing = next(parent for parent in (path, *path.absolute().parents) if os.access(parent, os.F_OK))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise RequestError(f"{purpose} cannot be written to {path}: {existing} is not a writable directory")
    free = shutil.disk_usage(existing).free
    if free < n_bytes + RESERVE_BYTES:
        raise RequestError(
            f"{purpose} needs {(n_bytes + RESERVE_BYTES) / 2**30:.2f} GiB at {path} and its disk has "
            f"{free / 2**30:.2f} GiB free; free some or choose another place"
        )


@contextlib.contextmanager
def only_driver(log: RunLog) -> Iterator[None]:
    """Only one driver writes a run directory at a time; the operating system releases a dead one's lock.

    Raises RequestError naming the host and process that holds it.
    """
    log.root.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(log.root / ".driver.lock"), log.root / ".driver.json"
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        who: dict[str, Any] = json.loads(holder.read_text()) if holder.exists() else {"host": "?", "pid": "?"}
        raise RequestError(
            f"{log.root} is being written by another driver (host {who['host']}, pid {who['pid']}); wait for it or stop it"
        ) from error
    try:
        atomic_write_bytes(holder, json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode())
        yield
    finally:
        lock.release()


def pending_trials(trials: list[Trial], statuses: dict[str, str], retry_failed: bool) -> list[Trial]:
    """What is still to run: everything without a final record, and with --retry-failed what failed."""
    finished = {key for key, status in statuses.items() if not (retry_failed and status == "failed")}
    return [trial for trial in trials if trial.key not in finished]
