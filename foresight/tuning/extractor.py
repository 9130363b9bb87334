"""The process that fills the feature cache: an actor of `foresight.tuning.feature_pool` that keeps its encoder loaded."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from foresight.errors import RunEndedError, find_disk_error
from foresight.features.requests import Request
from foresight.features.shards import Shard, join_shards
from foresight.tuning.sweep import Placement

if TYPE_CHECKING:
    from foresight.features.extract import Encoder


class Extractor:
    """Decodes data sets, pretrains the toy decoder, encodes shards and joins them to entries, as it is told."""

    def __init__(self, placement: Placement):
        import torch

        torch.set_num_threads(1)  # another number of threads moves last digits
        self.placement = placement
        self.store = placement.store()
        self.loaded: tuple[Request, Encoder] | None = None

    def images(self, request: Request) -> None:
        """Decodes or draws a data set. Raises RequestError for a picture that cannot be read."""
        from foresight.features.extract import compute_images

        with _full_disk_said(self.store.root):
            compute_images(request.configs[0], self.store, self.placement.roots)

    def ltx(self, request: Request) -> None:
        """Pretrains the toy LTX-Video, of which there is one, whatever asks for it."""
        from foresight.features.extract import compute_ltx

        with _full_disk_said(self.store.root):
            compute_ltx(self.store)

    def shard(self, request: Request, shard: Shard) -> None:
        """Encodes one shard for every entry of the request."""
        from foresight.features.extract import compute_shard, load_encoder

        if self.loaded is None or self.loaded[0] != request:
            self.loaded = None  # the old encoder goes before the new one comes
            self.loaded = (request, load_encoder(request, self.placement.device))
        with _full_disk_said(self.store.root):
            compute_shard(request, shard, self.loaded[1], self.store, self.placement.device)

    def join(self, key: str, shards: list[Shard]) -> None:
        """Makes an entry of its shards."""
        with _full_disk_said(self.store.root):
            join_shards(key, shards, self.store)


@contextlib.contextmanager
def _full_disk_said(root: Path) -> Iterator[None]:
    """Raises RunEndedError for a disk that takes no more."""
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
