"""What is checked before anything is started: each wrong request ends here, in one sentence."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from foresight.amendment import check_untouched
from foresight.claim import Claim
from foresight.config import DATA_WITHOUT_MASKS, PLAIN_GROUND_DATA, TOY_LTX, TrialConfig
from foresight.encoders.checkpoints import RANDOM, check_checkpoint, check_ltx_checkpoint
from foresight.encoders.shapes import checkpoint_name, feature_shapes
from foresight.errors import RequestError, describe_damage
from foresight.features.size import missing_bytes
from foresight.metrics import METRICS_OF_MASKS, METRICS_OF_PLAIN_GROUND
from foresight.metrics.lpips_trunk import find_trunk
from foresight.run_folder import bring_weights
from foresight.runlog import RunLog
from foresight.side_costs import read_side_costs
from foresight.space import Trial
from foresight.storage.lease import hold
from foresight.storage.place import Place
from foresight.stored_shape import check_manifest, check_sweep
from foresight.train.continued import find_weights
from foresight.tuning.declaration import Declared
from foresight.tuning.sweep import Placement

BYTES_PER_TRIAL = 200_000  # epochs, samples, pictures and the row of one trial, rounded up
RESERVE_BYTES = 200 * 2**20  # what a machine needs to go on working


def check_readable(log: RunLog) -> None:
    """Raises RequestError when a file of the run log is damaged, before anything is added to it."""
    try:
        check_sweep(log.read_sweep())
        if (log.root / "manifest.parquet").exists():
            check_manifest(log.read_manifest().columns)
        log.trials(), log.read_latency(), log.read_looks(), read_side_costs(log)
    except RequestError:
        raise
    except (pa.ArrowException, ValueError, OSError) as error:
        raise RequestError(
            f"a file of {log} cannot be read ({describe_damage(error)}); 'python -m foresight.verify {log}' names it; "
            "restore it, or delete it if it is derived or a trial that can run again"
        ) from error


def check_ownership(log: RunLog, sweep: Declared, baseline: TrialConfig) -> None:
    """Raises RequestError when the run directory holds another study, claim, scale or data set, or an edited claim."""
    stored = log.read_sweep()
    if stored is None:
        return
    _check_has(stored, log, "study", "claim", "claim_hash")
    if stored["study"] != sweep.name:
        raise RequestError(f"{log} belongs to the study '{stored['study']}', not '{sweep.name}'; use another --runs")
    check_untouched(stored, sweep.claim)
    if stored["claim_hash"] != sweep.claim.hash:
        raise RequestError(
            f"{log} belongs to another claim ({stored['claim_hash']}: {stored['claim']['statement']!r}), and this "
            f"sweep claims {sweep.claim.hash}; a claim is fixed before the run: use another --runs for a new one, or record the "
            "change and why it was made with --amend REASON"
        )
    _check_has(stored, log, "scale", "data")
    for name, ours in (
        ("scale", baseline.scale),
        ("data", {"name": baseline.data.name, "fingerprint": baseline.data.fingerprint}),
    ):
        if stored[name] != ours:
            raise RequestError(f"{log} holds trials with {name} {stored[name]}, not {ours}; use another --runs")


def _check_has(stored: Mapping[str, Any], log: RunLog, *names: str) -> None:
    missing = [name for name in names if stored.get(name) is None]
    if missing:
        raise RequestError(f"{log} holds no study of ours: sweep.json has no {', '.join(missing)}; use another --runs")


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
                f"{log} was planned with other settings: its arm '{trial.arm.name}' at seed {trial.seed} is {known}, "
                f"and now it is {trial.key}; use another --runs, or move this one away"
            )


def check_measurable(claim: Claim, baseline: TrialConfig) -> None:
    """Raises RequestError for data or a decoder with which the claim's primary metric does not exist: there is no verdict."""
    primary, data = claim.primary, baseline.data.name
    if primary in METRICS_OF_MASKS and data in DATA_WITHOUT_MASKS:
        raise RequestError(
            f"'{data}' has no masks, so '{primary}', the claim's primary metric, cannot be measured on it; choose other data"
        )
    if primary in METRICS_OF_MASKS and baseline.decoder.name == "ltx":
        raise RequestError(
            f"decoder 'ltx' draws no mask, so '{primary}', the claim's primary metric, cannot be measured"
        )
    if primary in METRICS_OF_PLAIN_GROUND and data not in PLAIN_GROUND_DATA:
        raise RequestError(
            f"'{primary}', the claim's primary metric, is measured on plain backgrounds alone, and '{data}' has others; "
            f"data that has: {', '.join(PLAIN_GROUND_DATA)}"
        )


def check_checkpoints(configs: Iterable[TrialConfig]) -> None:
    """Raises RequestError for an encoder's checkpoint that is neither here nor to be had."""
    configs = list(configs)
    of_vlm = {c.vlm.checkpoint for c in configs if c.runs_encoders or c.streams != "dinov2"}
    of_dinov2 = {checkpoint_name(c.dinov2) for c in configs if c.runs_encoders or c.streams != "vlm"}
    for name in sorted(of_vlm | of_dinov2):
        if name != RANDOM:
            check_checkpoint(name)


def check_continued(configs: Iterable[TrialConfig], runs: Place) -> None:
    """Raises RequestError for a trial whose trained model to start from is in no run log."""
    for config in configs:
        continued = config.continued()
        if continued is not None:
            bring_weights(runs, continued.key)
            find_weights(config, runs.path)


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


def check_shared(configs: Iterable[TrialConfig], n_workers: int) -> None:
    """Raises RequestError for a trial that so many workers cannot share with the numbers that one process would have."""
    if n_workers > 1:
        for config in configs:
            why = config.why_not_shared(n_workers)
            if why is not None:
                raise RequestError(
                    f"{n_workers} workers cannot share the trial {config.key}: {why}; give fewer --workers, or leave it out"
                )


def check_machine(configs: Iterable[TrialConfig], placement: Placement, log: RunLog) -> None:
    """Raises RequestError for an LPIPS trunk that is none, or a disk without room for what the trials will write."""
    configs = list(configs)
    check_trunk(will_measure=bool(configs))
    check_disk(log.root, len(configs) * BYTES_PER_TRIAL, "the run log")
    n_bytes = missing_bytes(configs, placement.store(), placement.processes)
    check_disk(placement.cache, n_bytes, "the feature cache")


def check_trunk(will_measure: bool) -> None:
    """Raises RequestError for a pretrained LPIPS trunk that is missing where it was named, or cannot be read."""
    trunk = find_trunk()
    if trunk is not None and will_measure:
        from foresight.metrics.lpips import load_lpips  # needs torch, as the trials do

        load_lpips(trunk)


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
    """Only one driver writes a run directory at a time; a dead one's claim is taken over (see `foresight.storage.lease`).

    Raises RequestError naming the host, process and time of the driver that holds it, and RunEndedError once another one has
    taken it over from this. Inside another such block of this process it is held already.
    """
    if log.claim is not None:
        log.refresh()
        yield
        return
    with hold(log.files.shared) as claim:
        log.claim = claim
        try:
            log.refresh()
            yield
        finally:
            log.claim = None


def pending_trials(trials: list[Trial], statuses: dict[str, str], retry_failed: bool) -> list[Trial]:
    """What is still to run: everything without a final record, and with --retry-failed what failed."""
    finished = {key for key, status in statuses.items() if not (retry_failed and status == "failed")}
    return [trial for trial in trials if trial.key not in finished]
