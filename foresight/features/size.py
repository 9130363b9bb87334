"""What entries of the feature cache take: bytes on disk, and floating-point operations to fill them. Starts without torch."""

from collections.abc import Callable, Iterable

from foresight.config import TrialConfig
from foresight.encoders.shapes import dinov2_extraction_flops, feature_shapes, vlm_extraction_flops
from foresight.features.requests import Request, missing_requests, read_entries
from foresight.features.shards import pictures_done
from foresight.features.store import ArrayStore

TOKEN_BYTES = 2  # half precision
TOY_LTX_BYTES = 11_200_000  # about: its weights in single precision


def _images_bytes(config: TrialConfig) -> int:
    # uint8 RGB as encoders see it, and the target with its mask and the rectangle of its content.
    return config.data.n_pictures * (3 * config.data.image_px**2 + 5 * config.data.target_px**2)


def _vlm_bytes(config: TrialConfig) -> int:
    shapes = feature_shapes(config)
    return config.data.n_pictures * TOKEN_BYTES * shapes.vlm_grid**2 * shapes.vlm_dim


def _dinov2_bytes(config: TrialConfig) -> int:
    shapes = feature_shapes(config)
    return config.data.n_pictures * TOKEN_BYTES * shapes.spatial_grid**2 * shapes.spatial_dim


def _ltx_bytes(config: TrialConfig) -> int:
    return TOY_LTX_BYTES


def pass_flops(request: Request) -> float:
    """Operations of the encoder pass that fills a request; 0 for images and for what toys take."""
    if request.kind not in FLOPS:
        return 0.0
    return FLOPS[request.kind](request.configs)


def flops_left(request: Request, store: ArrayStore) -> float:
    """As `pass_flops`, without the pictures whose shards are finished."""
    done = min(pictures_done(key, store) for key in request.keys)
    return pass_flops(request) * (1 - done / request.n_pictures)


def missing_flops(configs: Iterable[TrialConfig], store: ArrayStore) -> float:
    """Operations of every encoder pass that the cache still lacks for these trials."""
    return sum(flops_left(request, store) for stage in missing_requests(configs, store) for request in stage)


def entry_sizes(configs: Iterable[TrialConfig]) -> dict[str, int]:
    """Entry key to bytes on disk, for every entry that these trials read."""
    return {key: BYTES[kind](reading) for key, (kind, reading) in read_entries(configs).items()}


def missing_bytes(configs: Iterable[TrialConfig], store: ArrayStore, n_slots: int) -> int:
    """The most that the disk must hold besides what is there: absent entries, and as many of the largest as there are slots.

    While an entry is joined it is there as shards and as a copy, and every slot may be joining one.
    """
    absent = sorted(size for key, size in entry_sizes(configs).items() if not store.has(key))
    return sum(absent) + sum(absent[-n_slots:])


BYTES: dict[str, Callable[[TrialConfig], int]] = {
    "images": _images_bytes,
    "vlm": _vlm_bytes,
    "dinov2": _dinov2_bytes,
    "ltx": _ltx_bytes,
}
FLOPS: dict[str, Callable[[tuple[TrialConfig, ...]], float]] = {
    "vlm": lambda configs: vlm_extraction_flops(configs[0].data, [c.vlm for c in configs]),
    "dinov2": lambda configs: dinov2_extraction_flops(configs[0].data, [c.dinov2 for c in configs]),
}
