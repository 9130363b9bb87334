"""`python -m foresight.verify runs/<study>`: whether a run log is whole, whatever happened to the machines that wrote it.

What must hold at any moment: a planned trial has one record or none, a record belongs to the configuration its key says, its
files are there and agree with it (`foresight.verify_trial`), splits are what their names say, latencies are of their arms, and
looks are those of the claim. Trials that have not ended are no fault (but with `--finished`), and neither are files half-written,
which are named.
Exit codes: 0 whole, 1 not (one line each), 2 the request is wrong.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pandas as pd
import pyarrow as pa
import typer

from foresight.errors import RequestError, describe_damage
from foresight.looks import from_json_rows
from foresight.manifest import ADDED, MANIFEST
from foresight.redaction import redact
from foresight.run_folder import open_study_log
from foresight.runlog import RunLog
from foresight.set_hash import compute_set_hash
from foresight.side_costs import read_side_costs
from foresight.storage.lease import read_claims
from foresight.stored_claim import read_claim
from foresight.stored_shape import check_manifest
from foresight.verify_trial import faults_of_row, faults_of_trial, read_table

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def find_faults(log: RunLog) -> Iterator[str]:
    """One sentence for each thing that does not hold. Raises RequestError for a folder that holds no study."""
    if not (log.root / "sweep.json").is_file():
        raise RequestError(f"'{log}' holds no study: it has no sweep.json; name a folder such as runs/p2_ablations")
    for what, faults in _all_checks(log):
        yield from _never_raising(what, faults)


def _all_checks(log: RunLog) -> Iterator[tuple[str, Iterator[str]]]:
    """What is checked, by a name for a check that cannot be made."""
    yield "sweep.json", _faults_of_declaration(log.root / "sweep.json")
    entries = sorted(log.trials_dir.glob("[!.]*"))
    directories = [path for path in entries if path.is_dir()]
    yield "manifest.parquet", _faults_of_plan(log, is_due=bool(directories))
    yield "trials", _faults_of_entries(entries)
    for directory in directories:
        if (directory / "trial.parquet").exists():
            yield directory.name, faults_of_trial(directory)
    yield "latency", _faults_of_arms(log, "latency", "latency_ms", "time")
    yield "memory", _faults_of_arms(log, "memory", "gpu_mb", "size of a GPU")
    yield "splits", _faults_of_splits(log)
    if (log.root / "looks.json").exists():
        yield "looks.json", _faults_of_looks(log)
    yield "side_costs.json", _faults_of_costs(log)
    yield ".driver", _faults_of_claims(log)
    yield "consolidated.parquet", _faults_of_consolidation(log, directories)


def _never_raising(what: str, faults: Iterator[str]) -> Iterator[str]:
    """The faults, and one more where the rest cannot be looked for: what is damaged may be so in any way."""
    try:
        yield from faults
    except Exception as error:
        why = str(error) if isinstance(error, RequestError) else f"{type(error).__name__}: {describe_damage(error)}"
        yield f"{what}: cannot be checked, as it holds what does not belong there ({why})"


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


def _faults_of_plan(log: RunLog, is_due: bool) -> Iterator[str]:
    """`is_due`: trials have begun; before, its driver may have died right after sweep.json."""
    for path in (log.root / MANIFEST, log.root / ADDED):
        manifest, unreadable = read_table(path)
        if not unreadable:
            check_manifest(manifest.columns)
        elif path.exists() or (is_due and path.name == MANIFEST):
            yield unreadable
            return
    manifest = log.read_manifest()
    if len(manifest):
        yield from _faults_of_manifest(manifest)


def _faults_of_entries(entries: list[Path]) -> Iterator[str]:
    for path in entries:
        if not path.is_dir():
            yield f"trials/{path.name} is a file where the folder of a trial should be"


def _faults_of_costs(log: RunLog) -> Iterator[str]:
    try:
        read_side_costs(log)
    except RequestError as error:
        yield str(error)


def _faults_of_claims(log: RunLog) -> Iterator[str]:
    """A claim of a driver that cannot be read keeps every other driver out."""
    try:
        read_claims(log.files.shared)
    except RequestError as error:
        yield str(error)


def _faults_of_manifest(manifest: pd.DataFrame) -> Iterator[str]:
    for key in manifest.loc[manifest["key"].duplicated(), "key"].unique():
        yield f"manifest.parquet plans the trial {key} more than once"
    for (arm, seed), rows in manifest.groupby(["arm", "seed"]):
        if rows["key"].nunique() > 1:
            yield f"manifest.parquet plans arm '{arm}' at seed {seed} as {' and '.join(rows['key'])}"


def _faults_of_arms(log: RunLog, kind: str, column: str, what: str) -> Iterator[str]:
    """One row per measured arm, in a file with the arm's key as its name, and what was measured in `column`."""
    for path in sorted((log.root / kind).glob("[!.]*")):
        table, unreadable = read_table(path)
        if unreadable:
            yield unreadable
            continue
        named = table["arm_key"].tolist() if "arm_key" in table else []
        if named != [path.stem]:
            yield f"{kind}/{path.name} holds {len(table)} rows of {', '.join(map(str, named)) or 'no arm'}, not that arm's one"
        elif column not in table or not 0 < float(table[column].iloc[0]) < math.inf:
            yield f"{kind}/{path.name} holds no {what} in {column}"


def _faults_of_splits(log: RunLog) -> Iterator[str]:
    """The name of a split's file is the hash over the hashes that it holds."""
    for path in sorted((log.root / "splits").glob("[!.]*")):
        split, unreadable = read_table(path)
        found = compute_set_hash(split["sample_hash"].astype(str)) if "sample_hash" in split else "no hash of an image"
        if unreadable or found != path.stem:
            yield unreadable or f"splits/{path.name} holds other images than its name says ({found})"


def _faults_of_looks(log: RunLog) -> Iterator[str]:
    """The looks on record are those of the claim, and none was taken twice of one arm."""
    try:
        tests = from_json_rows(log.read_looks(), read_claim(log.read_sweep() or {}))
    except RequestError as error:
        yield f"looks.json: {error}"
        return
    except (ValueError, TypeError) as error:
        yield f"looks.json cannot be read ({describe_damage(error)})"
        return
    for _, test in tests[tests.duplicated(["look", "arm"])].iterrows():
        yield f"looks.json holds the test of {test['arm']} at look {test['look']} twice"


def find_unfinished(log: RunLog) -> Iterator[str]:
    """One sentence for each planned trial without a final record, and each record that was never planned."""
    recorded, planned = log.statuses(), log.read_manifest()["key"].tolist()
    for key in planned:
        if key not in recorded:
            yield f"{key}: is planned and has no record"
    for key in sorted(set(recorded) - set(planned)):
        yield f"{key}: is recorded and was never planned"


def leftovers(log: RunLog) -> list[Path]:
    """Temporary files of writers that died, or that write at this moment: nothing reads them, so they are no fault."""
    return sorted(path.relative_to(log.root) for path in log.root.rglob(".*.tmp"))


def _faults_of_consolidation(log: RunLog, directories: list[Path]) -> Iterator[str]:
    """The consolidated file is derived; read together with what changed since, it must give each trial once."""
    finished = {path.name for path in directories if (path / "trial.parquet").exists()}
    if any(next(faults_of_row(path), "") for path in directories if path.name in finished):
        return  # it has been named, and is what keeps the others from being read
    try:
        keys = log.trials()["key"]
    except (pa.ArrowException, OSError, ValueError) as error:
        yield f"the trials cannot be read together ({describe_damage(error)})"
        return
    for key in keys[keys.duplicated()].unique():
        yield f"the trial {key} is read twice; delete consolidated.parquet, it comes back"
    if set(keys) != finished:
        odd = sorted(set(keys) ^ finished)[0]
        yield f"consolidated.parquet and the folders differ ({odd}); delete it, it comes back"


@app.command()
def main(
    folder: Annotated[
        str, typer.Argument(help="A study's run log, such as runs/p2_ablations or s3://bucket/runs/p2_ablations.")
    ],
    finished: Annotated[bool, typer.Option("--finished", help="Every planned trial must have ended as well.")] = False,
) -> None:
    """Whether a run log is whole: one line for each thing that does not hold."""
    try:
        faults = list(find_faults(log := open_study_log(folder)))
        if finished and not faults:
            faults = list(find_unfinished(log))
    except RequestError as error:
        typer.echo(redact(str(error)), err=True)
        raise typer.Exit(2) from error
    for fault in faults:
        typer.echo(redact(fault))
    if faults:
        raise typer.Exit(1)
    n_trials, n_planned = len(log.statuses()), len(log.read_manifest())
    if left := leftovers(log):
        what = f"{len(left)} temporary file{'s' if len(left) > 1 else ''}"
        typer.echo(
            f"{what} of a writer that died or still writes ({left[0]}); nothing reads them, and they may be deleted"
        )
    typer.echo(f"{folder}: whole; {n_trials} recorded and {n_planned} planned trials")


if __name__ == "__main__":
    app()
