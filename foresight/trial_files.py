"""Reads the files of one trial as the parts of derived tables: `foresight.derived` joins them."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from foresight.derived import file_identities
from foresight.errors import RequestError
from foresight.metrics import METRICS
from foresight.sample_summary import SUMMARY_SCHEMA, summarise_samples


def finished_trials(folder: Path) -> dict[str, str]:
    """Key of every trial in the folder of trials that has its row, to an identity of that row's file."""
    entries = sorted(entry.name for entry in os.scandir(folder)) if folder.exists() else []
    return file_identities((key, f"{folder}/{key}/trial.parquet") for key in entries)


def read_row(folder: Path, key: str) -> pa.Table:
    """The row of one trial. Raises RequestError for more or less than one, or another's: a key would stand twice."""
    table = read_whole(folder / key / "trial.parquet")
    if len(table) != 1 or "key" not in table.column_names:
        held = f"{len(table)} rows" if len(table) != 1 else "a row without a key"
        raise RequestError(
            f"'{folder / key / 'trial.parquet'}' holds {held} where a trial has one with its key; restore it from a copy, "
            "or delete the folder if the trial can run again"
        )
    found = table["key"].to_pylist()
    if found != [key]:
        raise RequestError(
            f"the folder '{folder / key}' holds the row of '{found[0]}', so a trial would "
            "be counted twice or under another's name; rename the folder to its key, or delete the copy"
        )
    return table


def read_details(folder: Path, name: str, key: str) -> pa.Table:
    """`<name>.parquet` of one trial; no column where it wrote none."""
    path = folder / key / f"{name}.parquet"
    return read_whole(path) if path.exists() else pa.table({})


def summarise_trial(folder: Path, key: str) -> pa.Table:
    """What the samples of one trial add up to."""
    samples = read_details(folder, "samples", key)
    for field in samples.schema:
        if field.name in METRICS and not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
            raise RequestError(
                f"samples.parquet of trial {key} has {field.name} of type {field.type}, and a metric is a number; write it "
                "anew, or delete the file"
            )
    return summarise_samples(samples.to_pandas()) if len(samples) else SUMMARY_SCHEMA.empty_table()


def read_whole(path: Path) -> pa.Table:
    """A small file, in this thread: 2 ms, where read_table takes 3.3."""
    return pq.ParquetFile(path).read(use_threads=False)
