"""The run log: one directory of trials on disk, the only channel between training and analysis.

    runs/<study>/
      sweep.json                  question, claim and its hash, space, scale, versions, git commit, created
      manifest.parquet            one row per planned trial: key, arm, factor, level, seed, config/*
      manifest_added.parquet      of a search: what it has planned since manifest.parquet was written
      looks.json                  of a claim that spends its alpha: one row per arm and look at which it was tested
      side_costs.json             GPU-seconds that its commands took besides trials: features, checks, latency, memory
      latency/  memory/           <arm_key>.parquet, one row per arm: its latency, measured alone on the machine after the
                                  training trials; of arms whose trials share GPUs, what it needs of a GPU's memory
      trials/<key>/
        config.json  epochs.parquet  samples.parquet  examples.png (and other pictures)
        weights.safetensors     of studies whose trained models others continue
        trial.parquet             one row, written last: a trial exists if and only if this file does
      splits/<set hash>.parquet   the content hashes of one split's images, once however many trials use it
      consolidated*.parquet       derived, for fast reading; may be deleted: trials, epochs, samples, latency, memory

Files are written under a temporary name and renamed, a trial's files together with its row last, so a process may die and
the disk be full at any line (`foresight.storage`). No two processes write one file, but a split's, named by its content.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from foresight.derived import file_identities, read_derived, to_parquet
from foresight.errors import RunEndedError
from foresight.manifest import read_manifest, write_manifest
from foresight.storage.copies import CopiedFiles
from foresight.storage.lease import Claim
from foresight.storage.local import LocalFiles
from foresight.storage.objects import told
from foresight.storage.place import Place
from foresight.trial_files import finished_trials, read_details, read_row, read_whole, summarise_trial

# 2: cost/budget_params and train/*; 3: share/*, latency/* and heldout/*; 4: data/val_hash and the folder splits
SCHEMA_VERSION = 4
STATUSES = ("complete", "failed", "stopped")
PROVENANCES = ("trained", "imported", "simulated")

# The columns of trial.parquet that have a fixed name, with the type they are stored as.
TRIAL_COLUMNS: dict[str, pa.DataType] = {
    "key": pa.string(),
    "sweep": pa.string(),
    "arm": pa.string(),
    "factor": pa.string(),
    "level": pa.string(),
    "seed": pa.int64(),
    "status": pa.string(),
    "error": pa.string(),
    "attempt": pa.int64(),
    "provenance": pa.string(),
    "schema_version": pa.int64(),
    "cost/params_total": pa.int64(),
    "cost/params_trained": pa.int64(),
    "cost/params_decoder": pa.int64(),
    "cost/budget_params": pa.int64(),  # what an adapter was asked to have; none for a fusion
    "cost/flops": pa.float64(),
    "cost/latency_ms": pa.float64(),
    "cost/train_s": pa.float64(),
    "cost/trial_s": pa.float64(),  # the whole trial in its process: build, train, evaluate
    "cost/gpu_s": pa.float64(),
    "cost/peak_memory_mb": pa.float64(),
}
# Any other column starts with one of these and is stored as a number or a string, whichever its value is.
# `baseline/<predictor>/<metric>` holds the trivial baselines, scored on the same test images.
# `train/*` sums up the learning curve of `epochs.parquet`.
# `heldout/<set>/*` are metrics on a further set, with its `n` and the `hash` over its content hashes.
# `share/*` are the stream shares of `foresight.metrics.SHARES`, and `latency/*` the spread of a latency trial's repeats.
OPEN_PREFIXES = ("config/", "test/", "val/", "train/", "baseline/", "heldout/", "share/", "latency/", "env/", "data/")
_NO_TRIALS = pa.schema([*TRIAL_COLUMNS.items()]).empty_table()


def config_columns(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config/<dotted field>` columns of a flat config."""
    return {f"config/{name}": value for name, value in config.items()}


def check_row(row: Mapping[str, Any]) -> None:
    """Raises ValueError for a trial row with an unknown column, status or provenance, or without a fixed one it needs."""
    unknown = [name for name in row if name not in TRIAL_COLUMNS and not name.startswith(OPEN_PREFIXES)]
    if unknown:
        raise ValueError(f"unknown columns {unknown}: a column is in TRIAL_COLUMNS or starts with {OPEN_PREFIXES}")
    missing = [name for name in ("key", "sweep", "arm", "seed", "status", "provenance") if name not in row]
    if missing:
        raise ValueError(f"a trial row needs {missing}")
    if row["status"] not in STATUSES or row["provenance"] not in PROVENANCES:
        raise ValueError(f"status must be one of {STATUSES} and provenance of {PROVENANCES}, got {row}")


class RunLog:
    """Reads and writes one study's directory, `runs/<study>`, or its copy of one in an object store."""

    def __init__(self, root: Path, url: str | None = None):
        """`url`: of the directory in an object store that `root` is a copy of, if it is one."""
        self.root = root
        self.trials_dir = root / "trials"
        self.place = Place(root, url)
        self.files: LocalFiles | CopiedFiles = LocalFiles(root) if url is None else CopiedFiles(root, url)
        self.claim: Claim | None = None  # of the driver that writes here, held by `preflight.only_driver`
        self._last_row: tuple[dict[str, str], dict[str, Any]] = ({}, {})  # that was read, by its file's identity

    def __str__(self) -> str:
        return str(self.place)

    def refresh(self) -> None:
        """Makes a copy what its storage holds now. Raises RequestError for a storage that cannot be read."""
        with told(str(self)):
            self.files.refresh()

    def refresh_trial(self, key: str) -> None:
        """As `refresh`, of one trial, amid a run. Raises RunEndedError for a storage that cannot be read any more."""
        try:
            self.files.refresh_folder(f"trials/{key}", "trial.parquet")
        except OSError as error:
            raise RunEndedError(
                f"trial {key} cannot be read from {self} ({error.strerror or error}); every finished trial is kept, and the "
                "same command goes on once it can be read"
            ) from error

    def write(self, name: str, content: bytes) -> None:
        """Writes a file of the study. Raises RunEndedError for a disk that does not take it, or another driver's folder."""
        try:
            self._checked().write(name, content)
        except OSError as error:
            raise RunEndedError(
                f"{name} cannot be written to {self.files} ({error.strerror or error}); what is there is kept, and the same "
                "command goes on once it can be written"
            ) from error

    def _checked(self) -> LocalFiles | CopiedFiles:
        if self.claim is not None:
            self.claim.check()
        return self.files

    # --- the sweep and its looks -------------------------------------------------------------------------------------

    def write_sweep(self, sweep: Mapping[str, Any]) -> None:
        self.write("sweep.json", json.dumps(sweep, indent=2, allow_nan=False).encode())

    def read_sweep(self) -> dict[str, Any] | None:
        """The content of sweep.json, or None before the first run."""
        path = self.root / "sweep.json"
        return json.loads(path.read_text()) if path.exists() else None

    def write_manifest(self, rows: list[dict[str, Any]]) -> None:
        """Adds planned trials to the manifest; a key that is already planned keeps its row."""
        write_manifest(self, rows)

    def read_manifest(self) -> pd.DataFrame:
        """One row per planned trial; empty before the first run."""
        return read_manifest(self.root)

    def write_looks(self, tests: list[dict[str, Any]]) -> None:
        """Replaces the record of the looks that were taken; those before them come first, as they were."""
        self.write("looks.json", json.dumps(tests, indent=2, allow_nan=False).encode())

    def read_looks(self) -> Any:
        """The content of looks.json (`foresight.looks.from_json_rows` checks it); an empty list before the first look."""
        path = self.root / "looks.json"
        return json.loads(path.read_text()) if path.exists() else []

    # --- one trial -----------------------------------------------------------------------------------------------

    def write_trial(
        self,
        row: Mapping[str, Any],
        config: Mapping[str, Any] | None = None,
        epochs: Iterable[Mapping[str, Any]] = (),
        samples: pd.DataFrame | None = None,
        pictures: Mapping[str, bytes] | None = None,
        weights: bytes | None = None,
    ) -> None:
        """Writes a trial's files, `trial.parquet` last. Writing a key again (a retry) replaces all of them."""
        check_row(row)
        rows = [dict(epoch) for epoch in epochs]
        # Everything is serialised before anything is written, so what cannot be stored leaves no trace.
        files = {
            "config.json": json.dumps(config, indent=2, allow_nan=False).encode() if config is not None else None,
            "epochs.parquet": to_parquet(pa.Table.from_pylist(rows)) if rows else None,
            "samples.parquet": to_parquet(pa.Table.from_pandas(samples, preserve_index=False))
            if samples is not None
            else None,
            "weights.safetensors": weights,
            **{f"{name}.png": png for name, png in (pictures or {}).items()},
        }
        whole = {name: content for name, content in files.items() if content is not None}
        whole["trial.parquet"] = to_parquet(_trial_table(row))
        self._checked().replace(f"trials/{row['key']}", whole, last="trial.parquet")

    def read_config(self, key: str) -> dict[str, Any] | None:
        """The TrialConfig tree of a trial, or None when it recorded none."""
        path = self.trials_dir / key / "config.json"
        return json.loads(path.read_text()) if path.exists() else None

    def read_epochs(self, key: str) -> pd.DataFrame:
        """One row per epoch of a trial; empty when it recorded none."""
        path = self.trials_dir / key / "epochs.parquet"
        return pd.read_parquet(path) if path.exists() else pd.DataFrame()

    def read_samples(self, key: str) -> pd.DataFrame:
        """One row per test image of a trial; empty when it recorded none."""
        path = self.trials_dir / key / "samples.parquet"
        return pd.read_parquet(path) if path.exists() else pd.DataFrame()

    # --- all trials ----------------------------------------------------------------------------------------------

    def finished(self) -> dict[str, str]:
        """Key of every finished trial to an identity of its row's file, which a retry writes anew.

        The three tables below speak of one moment when they are given what was finished at that moment.
        """
        return finished_trials(self.trials_dir)

    def trials(self, finished: Mapping[str, str] | None = None) -> pd.DataFrame:
        """One row per finished trial by key, whatever its status."""
        table = self._derived("consolidated.parquet", partial(read_row, self.trials_dir), finished)
        return pa.concat_tables([_NO_TRIALS, table], promote_options="permissive").to_pandas()

    def epochs(self, finished: Mapping[str, str] | None = None) -> pd.DataFrame:
        """One row per epoch of every finished trial that recorded any, by `key` (categorical) and epoch."""
        read = partial(read_details, self.trials_dir, "epochs")
        return self._derived("consolidated_epochs.parquet", read, finished).to_pandas()

    def sample_summaries(self, finished: Mapping[str, str] | None = None) -> pd.DataFrame:
        """One row per finished trial (`key`), split and metric of its samples: `foresight.sample_summary`."""
        read = partial(summarise_trial, self.trials_dir)
        return self._derived("consolidated_samples.parquet", read, finished).to_pandas()

    def read_trial(self, key: str) -> dict[str, Any]:
        """The row of one finished trial, wherever it was written; several that follow a trial's end may ask for it in turn."""
        self.refresh_trial(key)
        path, (known, row) = self.trials_dir / key / "trial.parquet", self._last_row  # another thread may replace it
        identity = file_identities([(key, str(path))])
        if not identity or identity != known:
            self._last_row = _, row = identity, read_whole(path).to_pylist()[0]
        return dict(row)

    def statuses(self) -> dict[str, str]:
        """Key to status of every finished trial."""
        trials = self.trials()
        return dict(zip(trials["key"], trials["status"], strict=True)) if len(trials) else {}

    # --- latency and memory, measured per arm ----------------------------------------------------------------------

    def write_latency(self, arm_key: str, row: Mapping[str, Any]) -> None:
        self.write_arm("latency", arm_key, row)

    def read_latency(self) -> pd.DataFrame:
        """One row per measured arm; empty before the measurement."""
        return self.read_arms("latency")

    def write_arm(self, kind: str, arm_key: str, row: Mapping[str, Any]) -> None:
        table = pa.Table.from_pylist([{"arm_key": arm_key, **row}])
        self.write(f"{kind}/{arm_key}.parquet", to_parquet(table))

    def read_arms(self, kind: str) -> pd.DataFrame:
        """As `read_latency`, of any of what is measured per arm: `latency`, `memory`."""
        folder = self.root / kind
        if not folder.exists():
            return pd.DataFrame()
        paths = sorted(entry.path for entry in os.scandir(folder) if not entry.name.startswith("."))
        parts = file_identities((Path(path).stem, path) for path in paths if path.endswith(".parquet"))
        table = read_derived(
            self.root / f"consolidated_{kind}.parquet",
            parts,
            lambda arm_key: read_whole(folder / f"{arm_key}.parquet"),
            "arm_key",
        )
        return table.to_pandas() if len(table) else pd.DataFrame()

    # --- derived tables ------------------------------------------------------------------------------------------------

    def _derived(self, name: str, read_part: Callable[[str], pa.Table], finished: Mapping[str, str] | None) -> pa.Table:
        """A table over all finished trials. A trial's files are written before its row, so its row's file stands for all."""
        parts = self.finished() if finished is None else finished
        return read_derived(self.root / name, parts, read_part, "key")


def _trial_table(row: Mapping[str, Any]) -> pa.Table:
    complete = {"error": None, "attempt": 1, "schema_version": SCHEMA_VERSION} | dict(row)
    arrays, names = [], []
    for name in [*TRIAL_COLUMNS, *(n for n in complete if n not in TRIAL_COLUMNS)]:
        arrays.append(pa.array([complete.get(name)], type=TRIAL_COLUMNS.get(name)))
        names.append(name)
    return pa.Table.from_arrays(arrays, names=names)


def usable_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """Complete trials of known provenance. Simulated ones stand in tables of their own, never beside what was trained."""
    complete = trials[(trials["status"] == "complete") & trials["provenance"].isin(PROVENANCES)]
    real = complete[complete["provenance"] != "simulated"]
    return (real if len(real) else complete).reset_index(drop=True)
