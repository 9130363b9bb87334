"""The content hashes of a study's splits, kept beside its trials so that anybody can prove them disjoint again.

`splits/<set hash>.parquet` holds the hashes of one split, once however many trials use it. A trial's row names its splits
by `data/train_hash`, `data/val_hash` and `data/test_hash`, and the further sets that it was measured on by
`heldout/<set>/hash`; a set's name can be computed again from its hashes. Run logs of before further sets were kept lack these.
"""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from foresight.runlog import RunLog, to_parquet
from foresight.set_hash import compute_set_hash


def write_split(log: RunLog, sample_hashes: Iterable[str]) -> str:
    """Keeps the content hashes of one split of the study; returns the hash over them, which names the file.

    Two processes may write it at once: the name says the content, so either file is the right one.
    """
    hashes = sorted(map(str, sample_hashes))
    set_hash = compute_set_hash(hashes)
    name = f"splits/{set_hash}.parquet"
    if not log.files.exists(name):
        log.write(name, to_parquet(pa.table({"sample_hash": pa.array(hashes, pa.string())})))
    return set_hash


def names_a_split(column: str) -> bool:
    """Whether a column of a trial's row holds the hash of a set of images."""
    is_further = column.startswith("heldout/") and column.count("/") == 2 and column.endswith("/hash")
    return is_further or column in ("data/train_hash", "data/val_hash", "data/test_hash")


def read_split(root: Path, set_hash: str) -> list[str] | None:
    """The content hashes kept under a set's hash; None where nobody kept them."""
    path = split_path(root, set_hash)
    return pq.read_table(path)["sample_hash"].to_pylist() if path.exists() else None


def split_path(root: Path, set_hash: str) -> Path:
    return root / "splits" / f"{set_hash}.parquet"
