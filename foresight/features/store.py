"""A content-keyed store of arrays on disk: written once, checksummed, memory-mapped by every trial of every sweep.

    <root>/<key>/meta.json      shapes, dtypes, SHA-256 of each file, and what the entry was computed from
    <root>/<key>/<name>.npy     of arrays
    <root>/<key>/...            of an entry of files that something else has written, say a model's weights

An entry appears by one rename, so it is whole or absent. Two processes may ask for the same entry at once: one computes
it, the other waits on a lock that the operating system releases if its holder dies. Where the store is in an object store
(`foresight.features.shared_entries`), an entry is one that is there, and these are the copies that this machine has read.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from foresight.errors import RunEndedError, find_disk_error
from foresight.features.shared_entries import SharedEntries, files_of
from foresight.storage.local import atomic_write_bytes
from foresight.storage.objects import ObjectFiles
from foresight.storage.place import Place, read_place


class CorruptEntryError(RuntimeError):
    """An entry's bytes are not those that were written."""


def default_place() -> Place:
    """`$FORESIGHT_CACHE`, a folder or the URL of an object store; else `foresight` in the user's cache folder."""
    chosen = os.environ.get("FORESIGHT_CACHE")
    if chosen:
        return read_place(chosen)
    return Place(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foresight")


def default_root() -> Path:
    """The folder of this machine where entries are, or their copies."""
    return default_place().path


def content_key(label: str, content: Mapping[str, Any]) -> str:
    """`label-` and 16 hex digits of a hash over everything the entry is computed from."""
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return f"{label}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


class ArrayStore:
    """Named arrays under content keys. `root` may be shared by all sweeps of a machine."""

    def __init__(self, root: Path, shared: SharedEntries | None = None):
        self.root, self.shared = root, shared
        self._verified: set[str] = set()

    @classmethod
    def at(cls, place: Place) -> "ArrayStore":
        """The store at a place."""
        return cls(place.path, SharedEntries(ObjectFiles(place.url)) if place.url is not None else None)

    def below(self, *names: str) -> "ArrayStore":
        """The store in a folder inside this one."""
        return ArrayStore(self.root.joinpath(*names), self.shared.below("/".join(names)) if self.shared else None)

    def has(self, key: str) -> bool:
        return self.is_here(key) if self.shared is None else self.shared.has(key)

    def is_here(self, key: str) -> bool:
        """Whether this machine has the entry, or a copy of it."""
        return (self.root / key / "meta.json").exists()

    def entries(self) -> list[str]:
        """Every entry."""
        if self.shared is not None:
            return self.shared.entries()
        return sorted(path.parent.name for path in self.root.glob("[!.]*/meta.json"))

    def load(self, key: str) -> dict[str, np.ndarray]:
        """Read-only memory maps of an entry's arrays. Checksums are verified once per process.

        Raises KeyError when the entry is absent and CorruptEntryError when a file changed since it was written.
        """
        directory = self.root / key
        if not self.is_here(key):
            if not self.has(key):
                raise KeyError(f"no entry {key} in {self.shared.remote if self.shared else self.root}")
            self._fetch(key)
        meta = self._meta(key)
        for name, expected in files_of(meta).items():
            path = directory / name
            if key not in self._verified and (not path.exists() or _file_digest(path) != expected):
                raise CorruptEntryError(f"{path} does not have its checksum; delete {directory}")
        self._verified.add(key)
        return {name: np.load(directory / f"{name}.npy", mmap_mode="r") for name in meta["sha256"]}

    def _fetch(self, key: str) -> None:
        """Copies an entry of an object store here, by one rename."""
        assert self.shared is not None
        with self.lock(f"{key}.fetch"):
            if self.is_here(key):
                return
            temporary = self.root / f".{key}.fetch"
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            try:
                self.shared.fetch(key, temporary, _digest_of(self.shared.meta(key)))
                self._put(temporary, key)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)  # it may have become the entry just before
                raise

    def _put(self, folder: Path, key: str) -> None:
        """Makes a folder the entry, by one rename, in place of what is left of one that was being discarded."""
        if not self.is_here(key):
            shutil.rmtree(self.root / key, ignore_errors=True)
        folder.rename(self.root / key)

    def _meta(self, key: str) -> dict[str, Any]:
        path = self.root / key / "meta.json"
        if self.shared is not None and not path.exists():
            return self.shared.meta(key)
        try:
            return json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise CorruptEntryError(f"{path} is damaged; delete {path.parent}") from error

    def folder(self, key: str) -> Path:
        """The folder of an entry of files. Checked, and raises, as `load`."""
        self.load(key)
        return self.root / key

    def digest(self, key: str) -> str:
        """16 hex digits over the checksums of an entry's files: what was written, where the key says from what."""
        return _digest_of(self._meta(key))

    def content(self, key: str) -> dict[str, Any]:
        """What an entry was computed from."""
        return self._meta(key)["content"]

    def shapes(self, key: str) -> dict[str, tuple[int, ...]]:
        """The shape of each array of an entry, without opening one."""
        return {name: tuple(shape) for name, shape in self._meta(key)["shapes"].items()}

    def discard(self, key: str) -> None:
        """Removes an entry (a corrupt one), so that it is computed again; of an object store the copy, which is fetched again.

        Its description goes first: what a process leaves that dies in between is no entry, and in nobody's way.
        """
        self._verified.discard(key)
        (self.root / key / "meta.json").unlink(missing_ok=True)
        shutil.rmtree(self.root / key)

    def remove_all(self) -> None:
        """Removes every entry, wherever it is."""
        if self.shared is not None:
            for key in self.shared.remote.folders(""):
                self.shared.discard(key)
        shutil.rmtree(self.root, ignore_errors=True)

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Only one process of the machine at a time gets past here for a given name."""
        directory = self.root / "locks"
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(directory / f"{name}.lock"):
            yield

    @contextlib.contextmanager
    def writer(
        self, key: str, content: Mapping[str, Any]
    ) -> Iterator[Callable[[str, tuple[int, ...], Any], np.ndarray]]:
        """Gives `create(name, shape, dtype)`, a writable memory map per array; publishes the entry on leaving.

        Hold `lock` around it. What a dead writer left behind is removed first; on an exception nothing is published.
        """
        maps: dict[str, np.memmap] = {}
        with self._publishing(key) as (temporary, meta):

            def create(name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
                path = temporary / f"{name}.npy"
                maps[name] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
                _reserve(path)
                return maps[name]

            yield create
            for array in maps.values():
                array.flush()
            meta |= {
                "sha256": {name: _file_digest(temporary / f"{name}.npy") for name in maps},
                "shapes": {name: list(array.shape) for name, array in maps.items()},
                "dtypes": {name: str(array.dtype) for name, array in maps.items()},
                "content": dict(content),
            }

    @contextlib.contextmanager
    def folder_writer(self, key: str, content: Mapping[str, Any]) -> Iterator[Path]:
        """As `writer`, for an entry of files: gives the empty folder to write them into."""
        with self._publishing(key) as (temporary, meta):
            yield temporary
            written = sorted(path for path in temporary.rglob("*") if path.is_file())
            files = {str(path.relative_to(temporary)): _file_digest(path) for path in written}
            meta |= {"sha256": {}, "files": files, "content": dict(content)}

    @contextlib.contextmanager
    def _publishing(self, key: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Gives a new folder and what its meta.json will say, and renames it to the entry on leaving without an exception."""
        temporary = self.root / f".{key}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        meta: dict[str, Any] = {}
        try:
            yield temporary, meta
            atomic_write_bytes(temporary / "meta.json", json.dumps(meta, indent=2).encode())
            if self.shared is not None and not self.shared.publish(key, temporary, meta, _digest_of(meta)):
                shutil.rmtree(temporary)  # another machine was first, and its bytes may differ in a last digit
                return
            if self.shared is not None:
                shutil.rmtree(self.root / key, ignore_errors=True)  # a copy of what the store had before
            self._put(temporary, key)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)  # it may have become the entry just before
            raise


@contextlib.contextmanager
def full_disk_said(root: Path) -> Iterator[None]:
    """Raises RunEndedError for a disk that takes no more of the store at `root`."""
    try:
        yield
    except OSError as error:
        full = find_disk_error(error)
        if full is None:
            raise
        raise RunEndedError(
            f"the feature cache cannot be written to {root} ({full.strerror}); what is finished of it is kept, and the "
            "same command goes on here once there is room"
        ) from error


def _reserve(path: Path) -> None:
    """Takes the file's room on the disk. Raises OSError where there is none: writing to the map would kill the process."""
    if hasattr(os, "posix_fallocate"):  # macOS has none
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _digest_of(meta: dict[str, Any]) -> str:
    return hashlib.sha256(
        json.dumps(meta["files"] if "files" in meta else meta["sha256"], sort_keys=True).encode()
    ).hexdigest()[:16]


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
