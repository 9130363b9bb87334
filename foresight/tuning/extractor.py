"""The process that fills the feature cache: an actor of `foresight.tuning.feature_pool` that keeps its encoder loaded."""

from typing import TYPE_CHECKING

from foresight.features.requests import Request
from foresight.features.shards import Shard, join_shards
from foresight.features.store import full_disk_said
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

    def ready(self) -> None:
        """Answers when the process has its place."""

    def images(self, request: Request) -> None:
        """Decodes or draws a data set. Raises RequestError for a picture that cannot be read."""
        from foresight.features.extract import compute_images

        with full_disk_said(self.store.root):
            compute_images(request.configs[0], self.store, self.placement.roots)

    def ltx(self, request: Request) -> None:
        """Pretrains the toy LTX-Video, of which there is one, whatever asks for it."""
        from foresight.features.extract import compute_ltx

        with full_disk_said(self.store.root):
            compute_ltx(self.store)

    def shard(self, request: Request, shard: Shard) -> None:
        """Encodes one shard for every entry of the request."""
        from foresight.features.extract import compute_shard, load_encoder

        if self.loaded is None or self.loaded[0] != request:
            self.loaded = None  # the old encoder goes before the new one comes
            self.loaded = (request, load_encoder(request, self.placement.device))
        with full_disk_said(self.store.root):
            compute_shard(request, shard, self.loaded[1], self.store, self.placement.device)

    def join(self, key: str, shards: list[Shard]) -> None:
        """Makes an entry of its shards."""
        with full_disk_said(self.store.root):
            join_shards(key, shards, self.store)
