import pytest

from foresight.config import DataConfig, DecoderConfig, TrialConfig
from foresight.features.keys import KINDS
from foresight.features.requests import missing_requests
from foresight.features.shards import parts_of
from foresight.features.size import (
    BYTES,
    FLOPS,
    TOY_LTX_BYTES,
    entry_sizes,
    flops_left,
    missing_bytes,
    missing_flops,
    pass_flops,
)
from foresight.features.store import ArrayStore
from foresight.models import ltx_shapes
from search_spaces import c2_ltx, p2_ablations

TINY = TrialConfig(data=DataConfig(n_train=16, n_val=4, n_test=8, image_px=56))
FULL = p2_ablations.baseline("full")
N_FULL = 11_000
TOY_LTX = c2_ltx.baseline("tiny")


@pytest.fixture
def store(tmp_path) -> ArrayStore:
    return ArrayStore(tmp_path)


def publish(store: ArrayStore, *keys: str) -> None:
    for key in keys:
        with store.writer(key, {}) as create:
            create("tokens", (1,), "u1")[...] = 1


def size_of(config: TrialConfig) -> int:
    return sum(entry_sizes([config]).values())


def test_entries_are_counted_once_for_each_encoder():
    # 28 images of 56 px with targets, masks and content of 32 px; VLM 2 x 2 tokens of 64 channels, DINOv2 L 4 x 4 of 64.
    images = 28 * (3 * 56 * 56 + (3 + 1 + 1) * 32 * 32)
    assert size_of(TINY) == images + 2 * 28 * (4 * 64 + 16 * 64)
    both = entry_sizes([TINY, TINY.with_fields({"fusion.layers": 2, "seed": 1})])
    assert both == entry_sizes([TINY])
    smaller = TINY.with_fields({"dinov2.size": "B"})
    assert sum(entry_sizes([TINY, smaller]).values()) == size_of(TINY) + 2 * 28 * 16 * 48


def test_an_unread_stream_takes_no_room():
    assert size_of(TINY.with_fields({"streams": "vlm"})) == size_of(TINY) - 2 * 28 * 16 * 64


def test_the_real_encoders_take_half_a_mebibyte_and_448_kibibytes_an_image():
    sizes = {key.split("-")[0]: size for key, size in entry_sizes([FULL]).items()}
    assert sizes["dinov2"] == N_FULL * 512 * 1024  # 16 x 16 tokens of 1024 channels
    assert sizes["vlm"] == N_FULL * 448 * 1024  # 8 x 8 tokens of 3584 channels
    assert FULL.data.n_pictures == N_FULL


def test_frames_of_clips_and_views_of_training_images_are_pictures():
    assert DataConfig(name="clips", n_train=4, n_val=2, n_test=2, n_frames=9).n_pictures == 72
    augmented = TINY.with_fields({"data.augmentation": "mixup", "data.views": 3})
    assert augmented.data.n_pictures == 28 + 3 * TINY.data.n_train
    assert size_of(augmented) * 28 == size_of(TINY) * augmented.data.n_pictures
    assert size_of(augmented) + size_of(TINY) == sum(entry_sizes([TINY, augmented]).values())


def test_every_kind_of_request_has_a_size(store):
    kinds = {request.kind for stage in missing_requests([FULL, TOY_LTX], store) for request in stage}
    assert kinds == set(BYTES) == set(KINDS)
    assert kinds - set(FLOPS) == {"images", "ltx"}


def test_a_toy_decoder_takes_a_small_constant_and_no_operations(store):
    pixel = TOY_LTX.model_copy(update={"decoder": DecoderConfig()})
    assert size_of(TOY_LTX) - size_of(pixel) == TOY_LTX_BYTES
    assert size_of(TOY_LTX.with_fields({"data.n_train": 8})) > TOY_LTX_BYTES
    first, _ = missing_requests([TOY_LTX], store)
    (request,) = (request for request in first if request.kind == "ltx")
    assert request.n_pictures == ltx_shapes.RECIPE.n_pictures
    assert pass_flops(request) == flops_left(request, store) == 0


def test_finished_shards_are_not_to_be_computed_again(store):
    _, (dinov2, vlm) = missing_requests([FULL], store)
    whole = pass_flops(dinov2)
    assert whole == pytest.approx(N_FULL * 2 * 303e6 * 257)
    assert flops_left(dinov2, store) == whole
    assert missing_flops([FULL], store) == pytest.approx(whole + pass_flops(vlm))
    publish(parts_of(store, dinov2.keys[0]), "train-0000000-0005500")
    assert flops_left(dinov2, store) == pytest.approx(whole / 2)


def test_what_is_cached_needs_no_room_and_the_largest_absent_entry_needs_it_twice(store):
    sizes = entry_sizes([TINY])
    assert missing_bytes([TINY], store, 1) == sum(sizes.values()) + max(sizes.values())
    assert missing_bytes([TINY], store, 2) == sum(sizes.values()) + sum(sorted(sizes.values())[-2:])
    assert missing_bytes([TINY], store, 8) == 2 * sum(sizes.values())
    (images,) = (key for key in sizes if key.startswith("images"))
    publish(store, images)
    rest = [size for key, size in sizes.items() if key != images]
    assert missing_bytes([TINY], store, 1) == sum(rest) + max(rest)
    publish(store, *(key for key in sizes if key != images))
    assert missing_bytes([TINY], store, 1) == 0
