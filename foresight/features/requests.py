"""Which store entries a set of trials needs, and which are still to be computed. Starts without torch."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from foresight.config import TrialConfig
from foresight.features.keys import entries_of
from foresight.features.store import ArrayStore, CorruptEntryError


@dataclass(frozen=True)
class Request:
    """One pass over one data set: the entries it fills. The configs share the data and the encoder's checkpoint.

    Of the kind `ltx`: one pretraining of the toy decoder, which is the same for all data.
    """

    kind: Literal["images", "vlm", "dinov2", "ltx"]
    configs: tuple[TrialConfig, ...]  # one for each entry

    @property
    def label(self) -> str:
        config = self.configs[0]
        if self.kind == "images":
            return f"images ({config.data.name})"
        if self.kind == "ltx":
            return "the toy LTX-Video"
        if self.kind == "dinov2":
            return f"DINOv2 {config.dinov2.size} features"
        return f"VLM features, layers {', '.join(c.vlm.layer for c in self.configs)}"


def needed_entries(configs: Iterable[TrialConfig]) -> set[str]:
    """Keys of every entry that these trials read."""
    return {key for config in configs for key, _ in entries_of(config).values()}


def missing_requests(configs: Iterable[TrialConfig], store: ArrayStore) -> list[list[Request]]:
    """What must be computed before these trials can run: stages in order, the requests of a stage independent."""
    images: dict[str, TrialConfig] = {}
    ltx: dict[str, TrialConfig] = {}
    dinov2: dict[str, TrialConfig] = {}
    vlm: dict[tuple[str, str], dict[str, TrialConfig]] = {}
    for config in configs:
        keys = {kind: key for kind, (key, _) in entries_of(config).items()}
        images.setdefault(keys["images"], config)
        if "ltx" in keys:
            ltx.setdefault(keys["ltx"], config)
        if "dinov2" in keys:
            dinov2.setdefault(keys["dinov2"], config)
        if "vlm" in keys:  # one pass of the VLM gives every layer that is asked for
            vlm.setdefault((keys["images"], config.vlm.checkpoint), {}).setdefault(keys["vlm"], config)
    first = [Request("ltx", (config,)) for key, config in ltx.items() if not store.has(key)]
    first += [Request("images", (config,)) for key, config in images.items() if not store.has(key)]
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
