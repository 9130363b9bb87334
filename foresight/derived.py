"""Derived tables: one file for what is written in thousands, read again only where something changed.

A derived table is a Parquet file beside what it is made from. Its metadata names every part that it holds, with the
identity of the file which the part came from, so a part that was rewritten or deleted since is noticed and read anew.
Delete the table, or damage it, and it comes back.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foresight.errors import DISK_ERRORS
from foresight.storage.local import atomic_write_bytes

BATCH = 200  # parts that are joined at a time: a table of one row takes a hundred times the memory of a row
_PARTS = b"parts"  # of the file's metadata: JSON, part to identity


def file_identities(files: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Name to an identity of its file, of (name, path); a file that is not there has none.

    A file that is written again has another identity, since files are written under another name and renamed.
    """
    found = {}
    for name, path in files:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            stat = os.stat(path)
            found[name] = f"{stat.st_mtime_ns}-{stat.st_size}-{stat.st_ino}"
    return found


def read_derived(
    path: Path,
    parts: Mapping[str, str],
    read_part: Callable[[str], pa.Table],
    name_column: str,
) -> pa.Table:
    """The rows of all `parts` (name to identity) in the order of their names; `name_column` says whose a row is.

    What `path` does not hold in its present identity is read by `read_part`, whose table may lack that column; a part
    whose file is being replaced at this moment (FileNotFoundError) is left out. What was read is kept, where there is
    something to keep and the folder may be written.
    """
    stored = _stored(path)
    known = json.loads((stored.schema.metadata or {}).get(_PARTS, b"{}")) if stored is not None else {}
    if stored is not None and known == parts:
        return stored.replace_schema_metadata()
    current = {name: identity for name, identity in parts.items() if known.get(name) == identity}
    tables = []
    if stored is not None and current:
        names, codes = _names_and_codes(stored[name_column])
        kept = np.isin(names, list(current))[codes]
        tables.append(stored.filter(pa.array(kept)).replace_schema_metadata())
    missing = [name for name in parts if name not in current]
    for start in range(0, len(missing), BATCH):
        read = []
        for name in missing[start : start + BATCH]:
            with contextlib.suppress(FileNotFoundError):
                read.append(_named(read_part(name).replace_schema_metadata(), name, name_column))
                current[name] = parts[name]
        tables += [_joined(read)] if read else []
    table = pa.table({name_column: pa.array([], pa.string())})
    if tables:
        table = _joined(tables)
        table = table.take(_order(table[name_column]))
    # Nothing is written where there is nothing to keep, nor into somebody else's run log, which can be read all the same.
    if (current or path.exists()) and os.access(path.parent, os.W_OK):
        _keep(path, table.replace_schema_metadata({_PARTS: json.dumps(current)}))
    return table


def _stored(path: Path) -> pa.Table | None:
    """The table as it was kept; None where there is none, or a damaged one, which is as good as none."""
    try:
        return pq.read_table(path) if path.exists() else None
    except (pa.ArrowException, OSError):
        return None


def to_parquet(table: pa.Table) -> bytes:
    """A table as the content of a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def _keep(path: Path, table: pa.Table) -> None:
    """A derived table saves time. Where the disk has no room for it, the next reader derives it again."""
    try:
        atomic_write_bytes(path, to_parquet(table))
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise


def _named(rows: pa.Table, name: str, name_column: str) -> pa.Table:
    if name_column in rows.column_names:
        return rows
    own = pa.DictionaryArray.from_arrays(np.zeros(len(rows), np.int32), pa.array([name], pa.string()))
    return rows.append_column(name_column, own)


def _joined(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables, promote_options="permissive").unify_dictionaries().combine_chunks()


def _names_and_codes(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct texts of a column, and for each row the place of its own among them."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    array = pa.concat_arrays(encoded.unify_dictionaries().chunks) if encoded.num_chunks else encoded.combine_chunks()
    return np.array(array.dictionary.to_pylist(), dtype=str), array.indices.to_numpy()


def _order(column: pa.ChunkedArray) -> pa.Array:
    """Rows by the column's text; those of one text keep their order."""
    names, codes = _names_and_codes(column)
    ranks = np.empty(len(names), np.int64)
    ranks[np.argsort(names)] = np.arange(len(names))
    return pa.array(np.argsort(ranks[codes], kind="stable"))
