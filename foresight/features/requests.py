"""Which store entries a set of trials needs, and which are still to be computed. Starts without torch."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from foresight.config import TrialConfig
from foresight.features.keys import entries_of
from foresight.features.store import ArrayStore, CorruptEntryError


@dataclass(frozen=True)
class Request:
    """One pass over one data set: the entries it fills. The configs share the data and the encoder's checkpoint."""

    kind: Literal["images", "vlm", "dinov2"]
    configs: tuple[TrialConfig, ...]  # one for each entry

    @property
    def keys(self) -> list[str]:
        """The entries it fills."""
        return [entries_of(config)[self.kind][0] for config in self.configs]

    @property
    def images_key(self) -> str:
        """The entry whose pictures it reads; of a request for images, its own."""
        return entries_of(self.configs[0])["images"][0]

    def without_finished(self, store: ArrayStore) -> "Request":
        """The same for the entries that are absent."""
        pairs = zip(self.keys, self.configs, strict=True)
        return replace(self, configs=tuple(config for key, config in pairs if not store.has(key)))

    @property
    def label(self) -> str:
        config = self.configs[0]
        if self.kind == "images":
            return f"images ({config.data.name})"
        if self.kind == "dinov2":
            return f"DINOv2 {config.dinov2.size} features"
        return f"VLM features, layers {', '.join(c.vlm.layer for c in self.configs)}"


def read_entries(configs: Iterable[TrialConfig]) -> dict[str, tuple[str, TrialConfig]]:
    """Every entry that these trials read: its key to its kind and the first config that reads it."""
    entries: dict[str, tuple[str, TrialConfig]] = {}
    for config in configs:
        for kind, (key, _) in entries_of(config).items():
            entries.setdefault(key, (kind, config))
    return entries


def needed_entries(configs: Iterable[TrialConfig]) -> set[str]:
    """Keys of every entry that these trials read."""
    return set(read_entries(configs))


def missing_requests(configs: Iterable[TrialConfig], store: ArrayStore) -> list[list[Request]]:
    """What must be computed before these trials can run: stages in order, the requests of a stage independent."""
    images: dict[str, TrialConfig] = {}
    dinov2: dict[str, TrialConfig] = {}
    vlm: dict[tuple[str, str], dict[str, TrialConfig]] = {}
    for config in configs:
        keys = {kind: key for kind, (key, _) in entries_of(config).items()}
        images.setdefault(keys["images"], config)
        if "dinov2" in keys:
            dinov2.setdefault(keys["dinov2"], config)
        if "vlm" in keys:  # one pass of the VLM gives every layer that is asked for
            vlm.setdefault((keys["images"], config.vlm.checkpoint), {}).setdefault(keys["vlm"], config)
    first = [Request("images", (config,)) for key, config in images.items() if not store.has(key)]
    second = [Request("dinov2", (config,)) for key, config in dinov2.items() if not store.has(key)]
    for layers in vlm.values():
        absent = tuple(config for key, config in layers.items() if not store.has(key))
        if absent:
            second.append(Request("vlm", absent))
    return [stage for stage in (first, second) if stage]


def discard_corrupt(configs: Iterable[TrialConfig], store: ArrayStore) -> None:
    """Removes entries whose bytes have changed, saying so; `missing_requests` then lists them again."""
    for key in sorted(needed_entries(configs)):
        if store.has(key):
            try:
                store.load(key)
            except CorruptEntryError as error:
                print(f"feature cache: {error}; computing it again", file=sys.stderr)
                store.discard(key)
