"""A local copy of a prefix of an object store: written through, and brought up to date by what is new there.

The store is the truth. A writer changes the store first and its copy afterwards, and of a folder that is replaced as a whole
(a trial) first removes the one object that stands for it (its row), then changes the others, and writes that one last:
whoever finds it there both before and after reading the others has read files of one attempt. A process may die at any line.

What is new is told by size and time of the objects, which the copies keep. S3 tells time in whole seconds, so what was written
in the last second of a listing is fetched again by the next one.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from filelock import FileLock

from foresight.storage.local import Seen, atomic_write_bytes, replace_folder
from foresight.storage.objects import AT_ONCE, ObjectFiles

ROW = "trial.parquet"  # stands for the folder that it is in
WEIGHTS_FILE = "weights.safetensors"
ON_DEMAND = (WEIGHTS_FILE,)
TRIALS = "trials"
SECOND_NS = 1_000_000_000
SINGLE = ("sweep.json", "manifest.parquet", "manifest_added.parquet", "looks.json", "side_costs.json")
FOLDERS = ("latency", "memory", "splits")
# Claims of drivers and checkpoints of running trials (both hidden), and marks of what was sent to W&B: read in the store itself.
NEVER_COPIED = (".", "wandb/")


class CopiedFiles:
    """The files of one study at `url`, with their copies below `root`. Several processes of a machine may share the copies."""

    def __init__(self, root: Path, url: str):
        self.root, self.remote = root, ObjectFiles(url)

    def __str__(self) -> str:
        return str(self.remote)

    def __reduce__(self) -> tuple[Any, ...]:
        return CopiedFiles, (self.root, self.remote.url)

    @property
    def shared(self) -> ObjectFiles:
        """The files that every machine sees."""
        return self.remote

    # --- writing -----------------------------------------------------------------------------------------------------

    def write(self, name: str, content: bytes) -> None:
        """Writes a file to the store, then to its copy."""
        with self._copies_of(name):
            seen = self.remote.write(name, content)
            atomic_write_bytes(self.root / name, content, seen.mtime_ns)

    def replace(self, folder: str, files: Mapping[str, bytes], last: str) -> None:
        """Makes `files` all that a folder holds. `last` is one of them: it goes first and comes last, so it stands for all."""
        with self._copies_of(folder):
            self.remote.delete(f"{folder}/{last}")
            (self.root / folder / last).unlink(missing_ok=True)
            for old in self.remote.listing(folder):
                if old not in files:
                    self.remote.delete(f"{folder}/{old}")
            self.remote.write_all({f"{folder}/{name}": content for name, content in files.items() if name != last})
            seen = self.remote.write(f"{folder}/{last}", files[last])
            replace_folder(self.root / folder, files, last, seen.mtime_ns)

    def exists(self, name: str) -> bool:
        return self.remote.exists(name)

    # --- reading -----------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Makes the copies what the store holds now. What is made from copies stays."""
        here = self._copies()  # before the store: what is here by then has been there
        listed = self.remote.walk("")
        newest = max((seen.mtime_ns for seen in listed.values()), default=0) - SECOND_NS
        there = {name: seen for name, seen in listed.items() if not name.startswith(NEVER_COPIED)}
        changed = [name for name, seen in there.items() if self._is_old(name, seen, newest)]
        rows = [name for name in changed if _is_row(name)]
        single = [name for name in changed if not name.startswith(f"{TRIALS}/")]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda name: self._fetch(name, there[name]), single))
            list(pool.map(lambda row: self.refresh_folder(row.removesuffix(f"/{ROW}"), ROW), rows))
        for name in here - there.keys():
            self._remove(name)

    def refresh_folder(self, folder: str, last: str) -> None:
        """Makes the copy of a folder that is replaced as a whole what the store holds; nothing where it holds no `last`.

        What is large and read by few is left out: `fetch` brings it.
        """
        with self._copies_of(folder):
            whole = self._read_whole(
                folder, last, lambda name: name not in ON_DEMAND, unless=self._copy(f"{folder}/{last}")
            )
            if whole is not None:
                seen, contents = whole
                replace_folder(self.root / folder, contents, last, seen.mtime_ns)

    def fetch(self, folder: str, last: str, name: str) -> None:
        """Brings one file of a folder that is replaced as a whole, if the store has it there and the copies do not."""
        with self._copies_of(folder):
            if not (self.root / folder / name).exists() and self.remote.exists(f"{folder}/{name}"):
                whole = self._read_whole(folder, last, lambda _: True)
                if whole is not None:
                    seen, contents = whole
                    replace_folder(self.root / folder, contents, last, seen.mtime_ns)

    def _copy(self, name: str) -> bytes | None:
        path = self.root / name
        return path.read_bytes() if path.exists() else None

    def _read_whole(
        self, folder: str, last: str, wanted: Callable[[str], bool], unless: bytes | None = None
    ) -> tuple[Seen, dict[str, bytes]] | None:
        """`last` as a listing has it, and the wanted files of one attempt by name.

        None where there is no `last`, or it is what the copy holds (`unless`): then so are the others.
        """
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while True:
                try:
                    row = self.remote.read(f"{folder}/{last}")
                except FileNotFoundError:
                    return None
                if row == unless:
                    return None
                names = self.remote.listing(folder)
                others = [name for name in names if name != last and wanted(name)]
                with contextlib.suppress(FileNotFoundError):  # replaced meanwhile, so once more
                    contents = dict(
                        zip(others, pool.map(self.remote.read, [f"{folder}/{n}" for n in others]), strict=True)
                    )
                    if last in names and self.remote.read(f"{folder}/{last}") == row:
                        return names[last], contents | {last: row}

    def _fetch(self, name: str, seen: Seen) -> None:
        with self._copies_of(name), contextlib.suppress(FileNotFoundError):
            atomic_write_bytes(self.root / name, self.remote.read(name), seen.mtime_ns)

    def _is_old(self, name: str, seen: Seen, newest_ns: int) -> bool:
        """Whether the copy of an object is not surely the object. Of a trial its row stands for all."""
        if name.startswith(f"{TRIALS}/") and not _is_row(name):
            return False
        try:
            stat = os.stat(self.root / name)
        except FileNotFoundError:
            return True
        return (stat.st_size, stat.st_mtime_ns) != seen or seen.mtime_ns >= newest_ns

    def _copies(self) -> set[str]:
        """The copies that stand for objects: all but those of a trial beside its row, and what others keep in the folder."""
        found = {name for name in SINGLE if (self.root / name).exists()}
        for pattern in (*(f"{folder}/[!.]*" for folder in FOLDERS), f"{TRIALS}/*/{ROW}"):
            found |= {str(path.relative_to(self.root)) for path in self.root.glob(pattern)}
        return found

    def _remove(self, name: str) -> None:
        """Removes a copy whose object is gone; of a trial's row the whole folder."""
        with self._copies_of(name.removesuffix(f"/{ROW}") if _is_row(name) else name):
            if self.remote.exists(name):  # written since the listing
                return
            (self.root / name).unlink(missing_ok=True)
            if _is_row(name):
                shutil.rmtree((self.root / name).parent)

    @contextlib.contextmanager
    def _copies_of(self, name: str) -> Iterator[None]:
        """Only one process of this machine at a time changes the copies of a folder or file."""
        lock = self.root / ".locks" / f"{name.replace('/', '-')}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            yield


def _is_row(name: str) -> bool:
    return name.startswith(f"{TRIALS}/") and name.endswith(f"/{ROW}")
