"""What must hold of one finished trial: its files are there, can be read, and say the same as its row.

Part of `foresight.verify`. In: a trial's folder. Out: one sentence for each thing that does not hold.
"""

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError
from pydantic import ValidationError

from foresight.config import TrialConfig
from foresight.config.trial import UNTRAINED_TASKS
from foresight.errors import describe_damage
from foresight.runlog import PROVENANCES, SCHEMA_VERSION, STATUSES
from foresight.split_log import split_path

IDENTITY = ("key", "arm", "seed", "status", "provenance", "schema_version")
NUMBERS = ("test/", "val/", "heldout/")
SPLITS_SINCE = 4  # version of the schema from which on the hashes of a trial's images are kept


def faults_of_trial(directory: Path) -> Iterator[str]:
    """What a finished trial's files contradict."""
    key = directory.name
    if faults := list(faults_of_row(directory)):
        yield from faults
        return
    row = read_table(directory / "trial.parquet")[0].iloc[0].to_dict()
    if row["status"] not in STATUSES or row["provenance"] not in PROVENANCES:
        yield f"{key}: status '{row['status']}' with provenance '{row['provenance']}' does not exist"
    if int(row["schema_version"]) > SCHEMA_VERSION:
        yield f"{key}: written in schema {row['schema_version']}, and this code reads up to {SCHEMA_VERSION}"
    if row["provenance"] == "trained":
        yield from _faults_of_config(directory, key, int(row["seed"]))
        yield from _faults_of_status(directory, key, row)
    if row["status"] == "complete":
        yield from _faults_of_numbers(key, row)
        yield from _faults_of_samples(directory, key, row)
        yield from _faults_of_splits(directory.parents[1], key, row)
    if row["status"] != "failed":
        yield from _faults_of_epochs(directory, key, row)
    yield from _faults_of_pictures(directory, key)


def faults_of_row(directory: Path) -> Iterator[str]:
    """Why a folder of trials does not hold the one row that is its own."""
    key = directory.name
    trial, unreadable = read_table(directory / "trial.parquet")
    if unreadable:
        yield unreadable
        return
    if len(trial) != 1:
        yield f"{key}: trial.parquet has {len(trial)} rows instead of one"
        return
    row = trial.iloc[0].to_dict()
    missing = [name for name in IDENTITY if name not in row or pd.isna(row[name])]
    if missing:
        yield f"{key}: trial.parquet lacks {', '.join(missing)}"
    elif row["key"] != key:
        yield f"{key}: trial.parquet is of the trial {row['key']}"


def read_table(path: Path) -> tuple[pd.DataFrame, str]:
    """The table and no fault, or an empty one and what is wrong with the file."""
    if not path.exists():
        return pd.DataFrame(), f"{path.name} is missing"
    try:
        return pq.read_table(path).to_pandas(), ""
    except (pa.ArrowException, OSError, ValueError) as error:
        return pd.DataFrame(), f"{path.parent.name}/{path.name} cannot be read ({describe_damage(error)})"


def _faults_of_config(directory: Path, key: str, seed: int) -> Iterator[str]:
    """The key is a hash over the whole configuration, so it can be checked against it."""
    path = directory / "config.json"
    if not path.exists():
        yield f"{key}: config.json is missing, so nothing shows what its key is of"
        return
    try:
        config = TrialConfig.model_validate(json.loads(path.read_text()))
    except (ValueError, ValidationError) as error:
        yield f"{key}: config.json is no configuration of this version ({str(error).splitlines()[0]})"
        return
    if config.key != key:
        yield f"{key}: config.json is that of the trial {config.key}"
    elif config.seed != seed:
        yield f"{key}: trial.parquet says seed {seed}, and config.json {config.seed}"


def _faults_of_status(directory: Path, key: str, row: dict[str, Any]) -> Iterator[str]:
    """What the status of a trial of our own says of its error and its files."""
    status, has_error = row["status"], not pd.isna(row.get("error"))
    has_samples = (directory / "samples.parquet").exists()
    if status == "failed" and not has_error:
        yield f"{key}: it failed, and its row does not say why"
    if status == "failed" and has_samples:
        yield f"{key}: it failed, and samples.parquet is there as of a complete trial"
    if status == "complete" and has_error:
        yield f"{key}: it is complete, and its row holds the error '{str(row['error']).splitlines()[0]}'"
    if status == "stopped" and not (directory / "epochs.parquet").exists():
        yield f"{key}: it was stopped, and epochs.parquet, which shows how far it came, is missing"


def _faults_of_numbers(key: str, row: dict[str, Any]) -> Iterator[str]:
    for name, value in row.items():
        if not name.startswith(NUMBERS) or isinstance(value, str):
            continue
        if pd.isna(value):
            yield f"{key}: it is complete, and {name} has no value"
        elif math.isinf(value):
            yield f"{key}: {name} is infinite"


def _faults_of_epochs(directory: Path, key: str, row: dict[str, Any]) -> Iterator[str]:
    path = directory / "epochs.parquet"
    stated = row.get("train/epochs_run")
    if not path.exists():
        if row["status"] == "complete" and pd.notna(stated):
            yield f"{key}: epochs.parquet is missing, and the row says {int(stated)} epochs"
        return
    epochs, unreadable = read_table(path)
    if unreadable:
        yield unreadable
    elif "epoch" not in epochs or epochs["epoch"].tolist() != list(range(1, len(epochs) + 1)):
        yield f"{key}: the rows of epochs.parquet are not epochs 1 to {len(epochs)} in their order"
    elif pd.notna(stated) and int(stated) != len(epochs):
        yield f"{key}: epochs.parquet has {len(epochs)} epochs, and the row says {int(stated)}"


def _faults_of_samples(directory: Path, key: str, row: dict[str, Any]) -> Iterator[str]:
    path = directory / "samples.parquet"
    if not path.exists():
        if row["provenance"] == "trained":
            yield f"{key}: samples.parquet is missing, so nothing shows what its means are of"
        return
    samples, unreadable = read_table(path)
    if unreadable:
        yield unreadable
        return
    of_test = samples[samples["split"] == "test"] if "split" in samples else samples
    n_images = of_test["sample_hash"].nunique()
    if pd.notna(row.get("data/n_test")) and n_images != int(row["data/n_test"]):
        yield f"{key}: samples.parquet has {n_images} different test items, and the row says {int(row['data/n_test'])}"
    if row.get("config/task") in UNTRAINED_TASKS:  # its numbers are medians over repeats
        return
    for name in of_test.select_dtypes("number"):
        stored, mean = row.get(f"test/{name}"), of_test[name].mean()
        if stored is not None and pd.notna(mean) and not math.isclose(stored, mean, rel_tol=1e-5, abs_tol=1e-9):
            yield f"{key}: test/{name} is {stored:g}, and the mean of its samples {mean:g}"


def _faults_of_splits(root: Path, key: str, row: dict[str, Any]) -> Iterator[str]:
    """The hashes of the images that a trained trial names have to be kept, or nothing proves them disjoint again."""
    if row["provenance"] != "trained" or row["schema_version"] < SPLITS_SINCE or pd.isna(row.get("data/train_hash")):
        return
    for split in ("train", "val", "test"):
        named = row.get(f"data/{split}_hash")
        if isinstance(named, str) and not split_path(root, named).exists():
            yield f"{key}: splits/{named}.parquet, the hashes of its {split} images, is missing"


def _faults_of_pictures(directory: Path, key: str) -> Iterator[str]:
    for path in sorted(directory.glob("[!.]*.png")):
        try:
            with Image.open(io.BytesIO(path.read_bytes()), formats=["PNG"]) as image:
                image.load()
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            why = "no PNG" if isinstance(error, UnidentifiedImageError) else describe_damage(error)
            yield f"{key}: the picture {path.name} cannot be read ({why})"
