"""`python -m analysis import CSV --study NAME`: a table of published numbers becomes a run log of provenance `imported`.

The CSV has a header and one row per arm, or per arm and seed:

    arm        any name, required; `baseline` is the one that others are set beside
    <metric>   one column or more, by the names of METRICS (`lpips`, `mask_iou`); an empty cell was not published
    seed       optional, a whole number; a row without one stands as seed 0, and the analysis says so
    n_test     optional, how many test images the row was scored on
    params     optional, trained parameters

Nothing is assumed: without a hash of their test images arms are not compared, one seed has no interval, and no imported
number opens a gate (`analysis.imported` says in words what is lacking). Importing the same file again changes nothing.
"""

import csv
import hashlib
import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from foresight.claim import Claim
from foresight.errors import RequestError, nearest_name
from foresight.metrics import METRICS, RELATIVE_METRICS
from foresight.runlog import RunLog
from foresight.stored_claim import read_claim

COLUMNS = {"seed": "seed", "n_test": "data/n_test", "params": "cost/params_trained"}  # of the CSV -> of the run log
MOST = 2**53  # whole numbers above are not all told apart as the text of a table
LEAST = {"seed": 0, "n_test": 1, "params": 1}
NO_SEED = 0  # what a row without a seed stands as
UNUSED_MARGIN = 0.02  # a claim needs one; no imported number is ever held against it


def import_csv(
    path: Path, log: RunLog, claimed_in: RunLog | None = None, primary: str = "", reference: str = ""
) -> int:
    """Writes the table in `path` into the empty `log` and returns the number of trials.

    The claim is that of the study `claimed_in`, so that published numbers are held against the same criteria, or one
    without criteria on `primary` (the first metric of the table) with the arm `reference` for relative metrics. Raises
    RequestError for a table that cannot be read, an unknown column, a value that no metric can have, an arm that stands
    twice, and a run log that holds something else.
    """
    content, table = _read_table(path)
    metrics = [str(name) for name in table if name in METRICS]
    rows = _trial_rows(table, metrics, log.root.name)
    if claimed_in is None:
        claim = _claim_without_criteria(path.name, primary or metrics[0], reference, table)
    else:
        claim = _claim_of(claimed_in)
    claim.check()
    claim.check_arms(list(dict.fromkeys(table["arm"])))
    if claim.primary not in metrics:
        raise RequestError(
            f"{path} has no column '{claim.primary}', the claim's primary metric; it has {', '.join(metrics)}"
        )
    origin = {"file": path.name, "sha256": hashlib.sha256(content).hexdigest(), "without_seed": _without_seed(table)}
    _check_free(log, origin, claim)
    stored = log.read_sweep() or {}
    log.write_sweep(
        {
            "study": log.root.name,
            "question": f"What do the numbers in {path.name} support?",
            "scale_note": f"Imported from {path.name}: nothing here was trained or measured by this system.",
            "claim": claim.to_json(),
            "claim_hash": claim.hash,
            "created": stored.get("created") or datetime.now(UTC).isoformat(timespec="seconds"),
            "imported": origin,
        }
    )
    log.write_manifest([{name: row[name] for name in ("key", "arm", "factor", "level", "seed")} for row in rows])
    recorded = log.statuses()
    for row in rows:
        if row["key"] not in recorded:
            log.write_trial(row)
    return len(rows)


def _read_table(path: Path) -> tuple[bytes, pd.DataFrame]:
    """The bytes of the file, and its cells as text, empty ones as missing."""
    try:
        content = path.read_bytes()
        _check_shape(path, content)
        table = pd.read_csv(path, dtype=str, skipinitialspace=True)
    except OSError as error:
        raise RequestError(f"'{path}' cannot be read: {error.strerror}") from error
    except RequestError:
        raise
    except ValueError as error:  # pandas' own errors of parsing and of decoding
        raise RequestError(f"'{path}' is no CSV: {' '.join(str(error).split())}") from error
    table.columns = [str(name).strip() for name in table.columns]
    allowed = ["arm", *COLUMNS, *(name for name in METRICS if name not in RELATIVE_METRICS)]
    for name in table.columns:
        if name not in allowed:
            hint = nearest_name(name, allowed)
            raise RequestError(f"'{path}' has an unknown column '{name}'{hint}; it may have {', '.join(allowed)}")
    listed = ", ".join(map(str, table))
    if "arm" not in table:
        raise RequestError(f"'{path}' has no column 'arm', which names what each row is about; it has {listed}")
    if not set(table) & set(METRICS):
        raise RequestError(f"'{path}' has no column with a metric's name, such as lpips or mask_iou; it has {listed}")
    if table.empty:
        raise RequestError(f"'{path}' has a header ({listed}) and no row under it")
    if table.columns.duplicated().any() or table["arm"].isna().any():
        raise RequestError(f"'{path}' has a column twice, or a row without the name of its arm")
    return content, table.assign(arm=table["arm"].str.strip())


def _check_shape(path: Path, content: bytes) -> None:
    """Raises RequestError for a row with more cells than the header has columns: which is which cannot be told."""
    reader = csv.reader(io.StringIO(content.decode()), skipinitialspace=True)
    header = next(reader, [])
    if len(header) == 1 and {";", "\t"} & set(header[0]):
        raise RequestError(f"'{path}' is separated by semicolons or tabs; write it with commas")
    for row in reader:
        if len(row) > len(header):
            raise RequestError(
                f"'{path}' has {len(row)} cells in line {reader.line_num} and {len(header)} columns in its header; put a "
                "cell that has a comma in it between double quotes, or name the column"
            )


def _trial_rows(table: pd.DataFrame, metrics: list[str], study: str) -> list[dict[str, Any]]:
    """One row of trial.parquet for each of the table."""
    rows, seen = [], set()
    for number, cells in enumerate(table.to_dict("records"), start=2):  # as an editor counts lines
        where = f"line {number} ({cells['arm']})"
        whole = {name: _whole(cells[name], name, where) for name in COLUMNS if name in cells and pd.notna(cells[name])}
        values = {f"test/{m}": _value(cells[m], m, where) for m in metrics if pd.notna(cells[m])}
        if not values:
            raise RequestError(f"{where}: the row has a number of no metric; leave it out")
        arm, seed = str(cells["arm"]), whole.pop("seed", NO_SEED)
        if (arm, seed) in seen:
            raise RequestError(
                f"{where}: arm '{arm}' stands twice at seed {seed}; give each of its rows a seed of its own"
            )
        seen.add((arm, seed))
        row = {COLUMNS[name]: value for name, value in whole.items()} | values
        digest = hashlib.sha256(json.dumps([study, arm, seed, row], sort_keys=True).encode()).hexdigest()[:8]
        label = re.sub(r"[^A-Za-z0-9.=]+", "-", arm).strip("-.")[:40] or "arm"
        named = {
            "key": f"{label}-s{seed}-{digest}",
            "sweep": study,
            "arm": arm,
            "factor": "",
            "level": "",
            "seed": seed,
        }
        rows.append(named | {"status": "complete", "provenance": "imported"} | row)
    return rows


def _whole(text: str, name: str, where: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value.is_integer() or not LEAST[name] <= value <= MOST:
        raise RequestError(f"{where}: '{name}' must be a whole number of {LEAST[name]} to {MOST:,}, got '{text}'")
    return int(value)


def _value(text: str, metric: str, where: str) -> float:
    declared = METRICS[metric]
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not declared.low <= value <= declared.high or value in (float("inf"), float("-inf")):
        raise RequestError(
            f"{where}: '{metric}' must be a number in [{declared.low:g}, {declared.high:g}], the range of {declared.id}, "
            f"got '{text}'"
        )
    return value


def _without_seed(table: pd.DataFrame) -> bool:
    return "seed" not in table or bool(table["seed"].isna().any())


def _claim_without_criteria(file: str, primary: str, reference: str, table: pd.DataFrame) -> Claim:
    if primary not in METRICS:
        raise RequestError(f"unknown metric '{primary}'{nearest_name(primary, METRICS)}")
    statement = f"Published numbers of {file}; nothing was claimed before they were known."
    n_seeds = table["seed"].nunique() if "seed" in table else 1
    return Claim(statement, primary, UNUSED_MARGIN, 0.05, max(2, n_seeds), reference=reference)


def _claim_of(log: RunLog) -> Claim:
    sweep = log.read_sweep()
    if sweep is None:
        raise RequestError(f"{log.root} has no claim to hold the numbers against; run that study first")
    return read_claim(sweep)


def _check_free(log: RunLog, origin: dict[str, Any], claim: Claim) -> None:
    """Raises RequestError unless the run log is empty or an import of the same file that was cut short."""
    stored = log.read_sweep()
    if stored is None and not log.trials_dir.exists():
        return
    if stored is None or stored.get("imported") != origin or stored["claim_hash"] != claim.hash:
        raise RequestError(f"{log.root} already holds other trials or another claim; choose another --study")
