"""What entries of the feature cache take: bytes on disk, and floating-point operations to fill them. Starts without torch."""

from collections.abc import Callable, Iterable

from foresight.config import DataConfig, TrialConfig
from foresight.encoders.shapes import dinov2_extraction_flops, feature_shapes, vlm_extraction_flops
from foresight.features.requests import Request, missing_requests, read_entries
from foresight.features.shards import pictures_done
from foresight.features.store import ArrayStore

TOKEN_BYTES = 2  # half precision


def n_pictures(data: DataConfig) -> int:
    """Pictures of all splits; of clips, their frames."""
    return (data.n_train + data.n_val + data.n_test) * data.n_frames


def _images_bytes(config: TrialConfig) -> int:
    # uint8 RGB as encoders see it, and the target with its mask and the rectangle of its content.
    return n_pictures(config.data) * (3 * config.data.image_px**2 + 5 * config.data.target_px**2)


def _vlm_bytes(config: TrialConfig) -> int:
    shapes = feature_shapes(config)
    return n_pictures(config.data) * TOKEN_BYTES * shapes.vlm_grid**2 * shapes.vlm_dim


def _dinov2_bytes(config: TrialConfig) -> int:
    shapes = feature_shapes(config)
    return n_pictures(config.data) * TOKEN_BYTES * shapes.spatial_grid**2 * shapes.spatial_dim


def pass_flops(request: Request) -> float:
    """Operations of the encoder pass that fills a request; 0 for images and for toy models."""
    config = request.configs[0]
    if request.kind not in FLOPS:
        return 0.0
    return FLOPS[request.kind](config)


def flops_left(request: Request, store: ArrayStore) -> float:
    """As `pass_flops`, without the pictures whose shards are finished."""
    done = min(pictures_done(key, store) for key in request.keys)
    return pass_flops(request) * (1 - done / n_pictures(request.configs[0].data))


def missing_flops(configs: Iterable[TrialConfig], store: ArrayStore) -> float:
    """Operations of every encoder pass that the cache still lacks for these trials."""
    return sum(flops_left(request, store) for stage in missing_requests(configs, store) for request in stage)


def entry_sizes(configs: Iterable[TrialConfig]) -> dict[str, int]:
    """Entry key to bytes on disk, for every entry that these trials read."""
    return {key: BYTES[kind](config) for key, (kind, config) in read_entries(configs).items()}


def missing_bytes(configs: Iterable[TrialConfig], store: ArrayStore) -> int:
    """The most that the disk must hold besides what is there: absent entries, and the largest once more while it is joined."""
    absent = [size for key, size in entry_sizes(configs).items() if not store.has(key)]
    return sum(absent) + max(absent, default=0)


BYTES: dict[str, Callable[[TrialConfig], int]] = {
    "images": _images_bytes,
    "vlm": _vlm_bytes,
    "dinov2": _dinov2_bytes,
}
FLOPS: dict[str, Callable[[TrialConfig], float]] = {
    "vlm": lambda config: vlm_extraction_flops(config.data, config.vlm),
    "dinov2": lambda config: dinov2_extraction_flops(config.data, config.dinov2),
}
