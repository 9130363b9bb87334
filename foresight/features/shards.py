"""Shards: the parts in which an encoder's entries are computed, each finished for good, until they are joined.

    <root>/shards/<key>/train-0000512-0001024/      an entry of its own with its checksum: 512 pictures of one split

A process may die at any line: what is finished is not computed again, and an entry appears when its last shard has been
copied into it. Shards are whole batches, so how large they are and who computes which moves no bit of the result.
Starts without torch.
"""

import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from foresight.features.requests import Request
from foresight.features.store import ArrayStore, CorruptEntryError

BATCH = 32  # pictures of one forward pass
SHARD_PICTURES = 512
PICTURES = "-images"  # the arrays of an images entry that encoders see end with it


@dataclass(frozen=True)
class Shard:
    """Pictures `start` to `stop` (exclusive) of one split."""

    split: str
    start: int
    stop: int

    @property
    def name(self) -> str:
        return f"{self.split}-{self.start:07d}-{self.stop:07d}"

    def __len__(self) -> int:
        return self.stop - self.start


def shards_of(n_pictures: Mapping[str, int], size: int = SHARD_PICTURES) -> list[Shard]:
    """All shards of splits with so many pictures. Raises ValueError for a size that would tear a batch."""
    if size < 1 or size % BATCH:
        raise ValueError(f"a shard must be whole batches of {BATCH} pictures, not {size} pictures")
    return [Shard(split, start, min(start + size, n)) for split, n in n_pictures.items() for start in range(0, n, size)]


def request_shards(request: Request, store: ArrayStore, size: int = SHARD_PICTURES) -> list[Shard]:
    """The shards of a request for tokens, by the images entry that it reads, which must be there."""
    shapes = store.shapes(request.images_key)
    return shards_of(
        {name.removesuffix(PICTURES): shape[0] for name, shape in shapes.items() if name.endswith(PICTURES)}, size
    )


def parts_of(store: ArrayStore, key: str) -> ArrayStore:
    """The store of an entry's finished shards."""
    return store.below("shards", key)


def is_finished(shard: Shard, keys: Iterable[str], store: ArrayStore) -> bool:
    """Whether every one of these entries has the shard, or is whole."""
    return all(store.has(key) or parts_of(store, key).has(shard.name) for key in keys)


def pictures_done(key: str, store: ArrayStore) -> int:
    """How many pictures the finished shards of an absent entry hold."""
    spans = (name.split("-")[-2:] for name in parts_of(store, key).entries())
    return sum(int(stop) - int(start) for start, stop in spans)


@contextlib.contextmanager
def claim_shard(shard: Shard, keys: Iterable[str], store: ArrayStore) -> Iterator[list[str]]:
    """Holds a shard, so that no other process computes it meanwhile. Gives the entries that are still without it."""
    with contextlib.ExitStack() as held:
        for key in sorted(keys):
            if not is_finished(shard, [key], store):
                held.enter_context(store.lock(f"{key}.{shard.name}"))
        yield [key for key in keys if not is_finished(shard, [key], store)]


def join_shards(key: str, shards: list[Shard], store: ArrayStore) -> None:
    """Publishes an entry made of its finished shards, by one rename, and removes them.

    Raises CorruptEntryError when a shard's bytes changed since they were written.
    """
    with store.lock(key):
        if not store.has(key):
            parts = parts_of(store, key)
            tokens = {shard: parts.load(shard.name)["tokens"] for shard in shards}
            n_pictures = {shard.split: shard.stop for shard in shards}  # the last of a split ends it
            with store.writer(key, parts.content(shards[0].name)) as create:
                whole = {
                    split: create(split, (n, *tokens[shards[0]].shape[1:]), tokens[shards[0]].dtype)
                    for split, n in n_pictures.items()
                }
                for shard, array in tokens.items():
                    whole[shard.split][shard.start : shard.stop] = array
        remove_shards(key, store)


def remove_shards(key: str, store: ArrayStore) -> None:
    """Removes what an entry was joined from, and its locks; nobody asks for them once the entry is there."""
    parts_of(store, key).remove_all()
    for lock in (store.root / "locks").glob(f"{key}.*.lock"):
        lock.unlink(missing_ok=True)


def tidy_shards(keys: Iterable[str], store: ArrayStore) -> None:
    """Removes shards of entries that are whole, left by a process that died, and shards whose bytes have changed."""
    for key in sorted(keys):
        parts = parts_of(store, key)
        if store.has(key):
            if parts.root.exists() or parts.entries():
                remove_shards(key, store)
            continue
        for name in filter(parts.is_here, parts.entries()):
            try:
                parts.load(name)
            except CorruptEntryError as error:
                print(f"feature cache: {error}; computing it again", file=sys.stderr)
                parts.discard(name)
