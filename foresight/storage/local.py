"""Files below a POSIX folder, on this machine or shared: each appears by one rename, so it is whole or as it was before.

A process may die and a disk may be full at any line. What is written first lies under a temporary name (`.x.<hex>.tmp`), is
flushed to the disk and renamed; a write that fails takes its temporary file away again.
"""

import contextlib
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Seen(NamedTuple):
    """A file in a listing. The time is that of the machine which keeps it, so two of them can be compared."""

    size: int
    mtime_ns: int


class LocalFiles:
    """Names are relative to `root`, with `/` between folders."""

    def __init__(self, root: Path):
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    @property
    def shared(self) -> "LocalFiles":
        """The files that every machine sees."""
        return self

    def write(self, name: str, content: bytes) -> None:
        """Writes a file so that a reader sees all of it or what was there before, also after a power cut."""
        atomic_write_bytes(self.root / name, content)

    def refresh(self) -> None:
        """Nothing: what others write is seen at once."""

    def refresh_folder(self, folder: str, last: str) -> None:
        """Nothing: see `refresh`."""

    def replace(self, folder: str, files: Mapping[str, bytes], last: str) -> None:
        """Makes `files` all that a folder holds. `last` is one of them: it goes first and comes last, so it stands for all.

        A disk that is full leaves the folder as it was: nothing is touched before everything is on the disk.
        """
        replace_folder(self.root / folder, files, last)

    def read(self, name: str) -> bytes:
        """The content of a file. Raises FileNotFoundError."""
        return (self.root / name).read_bytes()

    def exists(self, name: str) -> bool:
        # Opened, as NFS asks its server then; what it remembers of a folder may be a minute old.
        try:
            (self.root / name).open("rb").close()
        except FileNotFoundError:
            return False
        return True

    def delete(self, name: str) -> None:
        """Removes a file, if it is there."""
        (self.root / name).unlink(missing_ok=True)

    def tidy(self, folder: str) -> None:
        """Removes what dead processes left half-written in a folder that nobody writes into, and the folder if it is empty."""
        remove_half_written(self.root / folder)
        with contextlib.suppress(OSError):
            (self.root / folder).rmdir()

    def folders(self, folder: str) -> list[str]:
        """The names of the folders directly in a folder; none where there is no folder."""
        found = self.root / folder
        return sorted(path.name for path in found.iterdir() if path.is_dir()) if found.is_dir() else []

    def listing(self, folder: str) -> dict[str, Seen]:
        """The files of a folder by name, without those that are being written; none where there is no folder."""
        found = {}
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self.root / folder):
                if not name.startswith("."):
                    with contextlib.suppress(FileNotFoundError), (self.root / folder / name).open("rb") as file:
                        stat = os.fstat(file.fileno())  # of the open file, see `exists`
                        found[name] = Seen(stat.st_size, stat.st_mtime_ns)
        return found


def replace_folder(directory: Path, files: Mapping[str, bytes], last: str, mtime_ns: int | None = None) -> None:
    """As `LocalFiles.replace`; `mtime_ns` is what `last` says of when it was written."""
    _make_directory(directory)
    remove_half_written(directory)  # only one at a time writes a folder
    temporary: dict[str, Path] = {}
    try:
        for name, content in files.items():
            temporary[name] = _temporary(directory / name)
            _write_flushed(temporary[name], content, mtime_ns if name == last else None)
    except BaseException:
        for path in temporary.values():
            path.unlink(missing_ok=True)
        raise
    if (directory / last).exists():
        (directory / last).unlink()
        _flush_directory(directory)
    for old in directory.glob("[!.]*"):
        if old.name not in files:
            old.unlink()
    for name, path in temporary.items():
        if name != last:
            path.replace(directory / name)
    _flush_directory(directory)
    temporary[last].replace(directory / last)
    _flush_directory(directory)


def remove_half_written(directory: Path) -> None:
    """Removes the temporary files of a folder: of processes that died, as nobody writes into it now."""
    for left in directory.glob(".*.tmp"):
        left.unlink(missing_ok=True)


def atomic_write_bytes(path: Path, content: bytes, mtime_ns: int | None = None) -> None:
    """Writes `content` to `path` so that a reader sees all of it or what was there before, also after a power cut."""
    _make_directory(path.parent)
    temporary = _temporary(path)
    try:
        _write_flushed(temporary, content, mtime_ns)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_directory(path.parent)


def _temporary(path: Path) -> Path:
    # Machines that share a file system also share process numbers, so those are no names.
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")


def _write_flushed(path: Path, content: bytes, mtime_ns: int | None) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        if mtime_ns is not None:
            os.utime(descriptor, ns=(mtime_ns, mtime_ns))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_directory(directory: Path) -> None:
    """Makes a folder and those above it, each on the disk before something is put into it."""
    absent = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(absent):
        path.mkdir(exist_ok=True)
        _flush_directory(path.parent)


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
