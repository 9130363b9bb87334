"""The manifest: what is planned, a row a trial, on disk before the trial begins.

A design writes all of it at once. A search plans one trial after another, and to write all of thousands again for each would
take longer than the trials: so what it has planned since the manifest was last written lies beside it, and is folded in now
and then. A reader sees both, and a row that is in both once.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foresight.derived import to_parquet

if TYPE_CHECKING:
    from foresight.runlog import RunLog

MANIFEST, ADDED = "manifest.parquet", "manifest_added.parquet"
MOST_ADDED = 256  # rows beside the manifest


def read_manifest(root: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """One row per planned trial; empty before the first run. Of a folder that another process may be writing."""
    # What was added is read first: if it is folded in meanwhile, its rows are in both and none is missed.
    added, planned = (_read(root / name, columns) for name in (ADDED, MANIFEST))
    if not len(added):
        return planned
    new = added[~added["key"].isin(planned["key"])]
    return pd.concat([planned, new], ignore_index=True) if len(planned) else new


def _read(path: Path, columns: list[str] | None) -> pd.DataFrame:
    return pd.read_parquet(path, columns=columns) if path.exists() else pd.DataFrame({"key": pd.Series(dtype=str)})


def write_manifest(log: "RunLog", rows: list[dict[str, Any]]) -> None:
    """Adds planned trials to the manifest; a key that is already planned keeps its row."""
    old = read_manifest(log.root)
    known = set(old["key"])
    new = [row for row in rows if row["key"] not in known]
    if new or len(old) > _count_rows(log.root / MANIFEST):
        merged = pd.concat([old, pd.DataFrame(new)], ignore_index=True) if len(old) else pd.DataFrame(new)
        log.write(MANIFEST, _as_parquet(merged))


def _count_rows(path: Path) -> int:
    return pq.read_metadata(path).num_rows if path.exists() else 0


def _as_parquet(rows: pd.DataFrame) -> bytes:
    return to_parquet(pa.Table.from_pandas(rows, preserve_index=False))


class GrowingManifest:
    """The manifest of a search that runs: `add` returns when the trial is on record."""

    def __init__(self, log: "RunLog"):
        self.log = log
        self.fold()  # what a driver that died has left beside it
        self.known = set(read_manifest(log.root, ["key"])["key"])
        self.rows: list[dict[str, Any]] = []  # beside the manifest

    def add(self, row: dict[str, Any]) -> None:
        """Puts a planned trial on record, unless it is."""
        if row["key"] in self.known:
            return
        rows = [*self.rows, row]
        if not self.known or len(rows) > MOST_ADDED:
            write_manifest(self.log, rows)
            self.rows = []
        else:
            self.log.write(ADDED, _as_parquet(pd.DataFrame(rows)))
            self.rows = rows
        self.known.add(row["key"])

    def fold(self) -> None:
        """Puts everything into the manifest itself, where people look for it."""
        write_manifest(self.log, [])
        self.rows = []
