"""`python -m foresight.verify runs/<study>`: whether a run log is whole, whatever happened to the machines that wrote it.

What must hold at any moment: a planned trial has one record or none, a record belongs to the configuration its key says, its
files are there and agree with it, and epochs follow each other without gaps. Trials that have not ended are no fault.
Exit codes: 0 whole, 1 not (one line each), 2 the request is wrong.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from pydantic import ValidationError

from foresight.config import TrialConfig
from foresight.config.trial import UNTRAINED_TASKS
from foresight.errors import RequestError
from foresight.run_folder import open_study_log
from foresight.runlog import PROVENANCES, SCHEMA_VERSION, STATUSES, RunLog

IDENTITY = ("key", "arm", "seed", "status", "provenance", "schema_version")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def find_faults(log: RunLog) -> Iterator[str]:
    """One sentence for each thing that does not hold. Raises RequestError for a folder that holds no study."""
    if not (log.root / "sweep.json").is_file():
        raise RequestError(f"'{log}' holds no study: it has no sweep.json; name a folder such as runs/p2_ablations")
    yield from _faults_of_declaration(log.root / "sweep.json")
    manifest, unreadable = _read(log.root / "manifest.parquet")
    if unreadable:
        yield unreadable
    else:
        yield from _faults_of_manifest(manifest)
    directories = sorted(path for path in log.trials_dir.glob("*") if path.is_dir())
    for directory in directories:
        if (directory / "trial.parquet").exists():
            yield from _faults_of_trial(directory)
    yield from _faults_of_consolidation(log, directories)


def _faults_of_declaration(path: Path) -> Iterator[str]:
    try:
        sweep = json.loads(path.read_text())
    except ValueError as error:
        yield f"sweep.json cannot be read ({error})"
        return
    if not isinstance(sweep, dict) or "claim" not in sweep:
        yield "sweep.json holds no claim"
        return
    claim = sweep["claim"]
    if claim is not None:
        found = hashlib.sha256(json.dumps(claim, sort_keys=True).encode()).hexdigest()[:16]
        if found != sweep.get("claim_hash"):
            yield f"sweep.json: the claim's hash is {found}, not the {sweep.get('claim_hash')} that was stored with it"


def _faults_of_manifest(manifest: pd.DataFrame) -> Iterator[str]:
    for key in manifest.loc[manifest["key"].duplicated(), "key"].unique():
        yield f"manifest.parquet plans the trial {key} more than once"
    for (arm, seed), rows in manifest.groupby(["arm", "seed"]):
        if rows["key"].nunique() > 1:
            yield f"manifest.parquet plans arm '{arm}' at seed {seed} as {' and '.join(rows['key'])}"


def _faults_of_trial(directory: Path) -> Iterator[str]:
    """What a finished trial's files contradict."""
    key = directory.name
    trial, unreadable = _read(directory / "trial.parquet")
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
        return
    if row["key"] != key:
        yield f"{key}: trial.parquet is of the trial {row['key']}"
    if row["status"] not in STATUSES or row["provenance"] not in PROVENANCES:
        yield f"{key}: status '{row['status']}' with provenance '{row['provenance']}' does not exist"
    if int(row["schema_version"]) > SCHEMA_VERSION:
        yield f"{key}: written in schema {row['schema_version']}, and this code reads up to {SCHEMA_VERSION}"
    if row["provenance"] == "trained":
        yield from _faults_of_config(directory, key, int(row["seed"]))
    if row["status"] == "complete":
        yield from _faults_of_numbers(key, row)
        yield from _faults_of_epochs(directory, key)
        yield from _faults_of_samples(directory, key, row)


def _faults_of_config(directory: Path, key: str, seed: int) -> Iterator[str]:
    """The key is a hash over the whole configuration, so it can be checked against it."""
    path = directory / "config.json"
    if not path.exists():
        return  # a run log written by hand need not have one
    try:
        config = TrialConfig.model_validate(json.loads(path.read_text()))
    except (ValueError, ValidationError) as error:
        yield f"{key}: config.json is no configuration of this version ({str(error).splitlines()[0]})"
        return
    if config.key != key:
        yield f"{key}: config.json is that of the trial {config.key}"
    elif config.seed != seed:
        yield f"{key}: trial.parquet says seed {seed}, and config.json {config.seed}"


def _faults_of_numbers(key: str, row: dict[str, Any]) -> Iterator[str]:
    for name, value in row.items():
        if name.startswith(("test/", "heldout/")) and isinstance(value, float) and math.isinf(value):
            yield f"{key}: {name} is infinite"


def _faults_of_epochs(directory: Path, key: str) -> Iterator[str]:
    path = directory / "epochs.parquet"
    if not path.exists():
        return
    epochs, unreadable = _read(path)
    if unreadable:
        yield unreadable
    elif epochs["epoch"].tolist() != list(range(1, len(epochs) + 1)):
        yield f"{key}: the rows of epochs.parquet are not epochs 1 to {len(epochs)} in their order"


def _faults_of_samples(directory: Path, key: str, row: dict[str, Any]) -> Iterator[str]:
    path = directory / "samples.parquet"
    if not path.exists():
        if row["provenance"] == "trained":
            yield f"{key}: samples.parquet is missing, so nothing shows what its means are of"
        return
    samples, unreadable = _read(path)
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


def _faults_of_consolidation(log: RunLog, directories: list[Path]) -> Iterator[str]:
    """The consolidated file is derived; read together with what changed since, it must give each trial once."""
    finished = {path.name for path in directories if (path / "trial.parquet").exists()}
    try:
        keys = log.trials()["key"]
    except (pa.ArrowException, OSError, ValueError) as error:
        yield f"the trials cannot be read together ({_first_line(error)}); delete consolidated.parquet, it comes back"
        return
    for key in keys[keys.duplicated()].unique():
        yield f"the trial {key} is read twice; delete consolidated.parquet, it comes back"
    if set(keys) != finished:
        odd = sorted(set(keys) ^ finished)[0]
        yield f"consolidated.parquet and the folders differ ({odd}); delete it, it comes back"


def _read(path: Path) -> tuple[pd.DataFrame, str]:
    """The table and no fault, or an empty one and what is wrong with the file."""
    if not path.exists():
        return pd.DataFrame(), f"{path.name} is missing"
    try:
        return pq.read_table(path).to_pandas(), ""
    except (pa.ArrowException, OSError, ValueError) as error:
        return pd.DataFrame(), f"{path.parent.name}/{path.name} cannot be read ({_first_line(error)})"


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


@app.command()
def main(
    folder: Annotated[
        str, typer.Argument(help="A study's run log, such as runs/p2_ablations or s3://bucket/runs/p2_ablations.")
    ],
) -> None:
    """Whether a run log is whole: one line for each thing that does not hold."""
    try:
        faults = list(find_faults(log := open_study_log(folder)))
    except RequestError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    for fault in faults:
        typer.echo(fault)
    if faults:
        raise typer.Exit(1)
    n_trials, n_planned = len(log.statuses()), len(log.read_manifest())
    typer.echo(f"{folder}: whole; {n_trials} recorded and {n_planned} planned trials")


if __name__ == "__main__":
    app()
