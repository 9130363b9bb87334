"""Which store entries a set of trials needs, and which are still to be computed. Starts without torch."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from foresight.config import TrialConfig
from foresight.features.keys import Kind, entries_of, readings
from foresight.features.store import ArrayStore, CorruptEntryError
from foresight.models import ltx_shapes


@dataclass(frozen=True)
class Request:
    """One pass over one data set: the entries it fills. The configs share the data and the encoder's checkpoint.

    Of the kind `ltx`: one pretraining of the toy decoder, which is the same for all data.
    """

    kind: Kind
    configs: tuple[TrialConfig, ...]  # one for each entry

    @property
    def keys(self) -> list[str]:
        """The entries it fills."""
        return [entries_of(config)[self.kind][0] for config in self.configs]

    @property
    def n_pictures(self) -> int:
        """How many pictures it goes over."""
        return ltx_shapes.RECIPE.n_pictures if self.kind == "ltx" else self.configs[0].data.n_pictures

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
        if self.kind == "ltx":
            return "the toy LTX-Video"
        if self.kind == "dinov2":
            layers = [c.dinov2.layer for c in self.configs]
            return f"DINOv2 {config.dinov2.size} features{_named(layers) if layers != ['final'] else ''}"
        return f"VLM features{_named([c.vlm.layer for c in self.configs])}"


def _named(layers: list[str]) -> str:
    return f", layers {', '.join(layers)}"


def read_entries(configs: Iterable[TrialConfig]) -> dict[str, tuple[Kind, TrialConfig]]:
    """Every entry that these trials read: its key to its kind and the first reading of it."""
    entries: dict[str, tuple[Kind, TrialConfig]] = {}
    for reading in _distinct_readings(configs):
        for kind, (key, _) in entries_of(reading).items():
            entries.setdefault(key, (kind, reading))
    return entries


def _distinct_readings(configs: Iterable[TrialConfig]) -> Iterator[TrialConfig]:
    """What the trials read of each data set; of those that read the same of all the first, as a study has few such."""
    seen = set()
    for config in configs:
        read = config.data, config.heldout, config.vlm, config.dinov2, config.streams, config.decoder, config.is_trained
        if read not in seen:
            seen.add(read)
            yield from readings(config).values()


def needed_entries(configs: Iterable[TrialConfig]) -> set[str]:
    """Keys of every entry that these trials read."""
    return set(read_entries(configs))


def missing_requests(configs: Iterable[TrialConfig], store: ArrayStore) -> list[list[Request]]:
    """What must be computed before these trials can run: stages in order, the requests of a stage independent."""
    images: dict[str, TrialConfig] = {}
    ltx: dict[str, TrialConfig] = {}
    # One pass of an encoder gives every layer that is asked for.
    dinov2: dict[tuple[str, str, str], dict[str, TrialConfig]] = {}
    vlm: dict[tuple[str, str], dict[str, TrialConfig]] = {}
    for config in _distinct_readings(configs):
        keys = {kind: key for kind, (key, _) in entries_of(config).items()}
        if "images" in keys:
            images.setdefault(keys["images"], config)
        if "ltx" in keys:
            ltx.setdefault(keys["ltx"], config)
        if "dinov2" in keys:
            model = (keys["images"], config.dinov2.checkpoint, config.dinov2.size)
            dinov2.setdefault(model, {}).setdefault(keys["dinov2"], config)
        if "vlm" in keys:
            vlm.setdefault((keys["images"], config.vlm.checkpoint), {}).setdefault(keys["vlm"], config)
    first = [Request("ltx", (config,)) for key, config in ltx.items() if not store.has(key)]
    first += [Request("images", (config,)) for key, config in images.items() if not store.has(key)]
    second = []
    encoders: tuple[tuple[Literal["dinov2", "vlm"], list[dict[str, TrialConfig]]], ...] = (
        ("dinov2", list(dinov2.values())),
        ("vlm", list(vlm.values())),
    )
    for kind, models in encoders:
        for layers in models:
            absent = tuple(config for key, config in layers.items() if not store.has(key))
            if absent:
                second.append(Request(kind, absent))
    return [stage for stage in (first, second) if stage]


def discard_corrupt(configs: Iterable[TrialConfig], store: ArrayStore) -> None:
    """Removes entries whose bytes have changed, saying so; `missing_requests` then lists them again."""
    for key in sorted(needed_entries(configs)):
        if store.is_here(key):
            try:
                store.load(key)
            except CorruptEntryError as error:
                print(f"feature cache: {error}; computing it again", file=sys.stderr)
                store.discard(key)
