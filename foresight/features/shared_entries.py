"""Entries of the feature cache in an object store: uploaded once by whoever computed them, fetched by whoever lacks them.

    <url>/<key>/<digest>/<name>     the entry's files; the digest is over their checksums
    <url>/<key>/meta.json           written last: an entry exists if and only if this object does

Two machines may compute one entry at once. Their files lie apart unless they are the same, and the first description stands,
so a reader gets the files of one of them whole.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa

from foresight.storage.objects import AT_ONCE, ObjectFiles

META = "meta.json"


class SharedEntries:
    """Entries by key, below a URL."""

    def __init__(self, remote: ObjectFiles):
        self.remote = remote
        self._known: dict[str, dict[str, Any]] = {}  # descriptions that were read; an entry does not change

    def below(self, name: str) -> "SharedEntries":
        """The entries of a folder inside this one."""
        return SharedEntries(self.remote.below(name))

    def has(self, key: str) -> bool:
        return key in self._known or self.remote.exists(f"{key}/{META}")

    def entries(self) -> list[str]:
        """Every entry that is whole."""
        return [key for key in self.remote.folders("") if self.has(key)]

    def meta(self, key: str) -> dict[str, Any]:
        """What the entry says of itself. Raises FileNotFoundError."""
        if key not in self._known:
            self._known[key] = json.loads(self.remote.read(f"{key}/{META}"))
        return self._known[key]

    def publish(self, key: str, folder: Path, meta: dict[str, Any], digest: str) -> bool:
        """Uploads the files that `meta` names; returns whether the entry is made of them, or of another machine's."""
        files = {f"{key}/{digest}/{name}": pa.memory_map(str(folder / name)) for name in files_of(meta)}
        self.remote.write_all({name: file.read_buffer() for name, file in files.items()})
        if not self.remote.exists(f"{key}/{META}"):
            self.remote.write(f"{key}/{META}", json.dumps(meta, indent=2).encode())
        # Both may have found none: what stands there now is what everybody will read.
        return files_of(json.loads(self.remote.read(f"{key}/{META}"))) == files_of(meta)

    def fetch(self, key: str, folder: Path, digest: str) -> None:
        """Downloads an entry's files and then its description into an empty folder."""
        meta = self.meta(key)

        def copy(name: str) -> None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                self.remote.copy_to(f"{key}/{digest}/{name}", file.fileno())
                os.fsync(file.fileno())

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(copy, files_of(meta)))
        (folder / META).write_text(json.dumps(meta, indent=2))

    def discard(self, key: str) -> None:
        """Removes an entry, its description first."""
        self._known.pop(key, None)
        self.remote.delete(f"{key}/{META}")
        for name in self.remote.walk(key):
            self.remote.delete(f"{key}/{name}")


def files_of(meta: dict[str, Any]) -> dict[str, str]:
    """The files that a description names, with their checksums."""
    return meta["files"] if "files" in meta else {f"{name}.npy": digest for name, digest in meta["sha256"].items()}
