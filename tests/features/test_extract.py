import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from foresight.config import DataConfig, TrialConfig
from foresight.data import SPLITS, load_splits
from foresight.encoders.dinov2 import build_dinov2, encode_dinov2
from foresight.encoders.qwen_vl import build_vlm, encode_vlm, to_pixels
from foresight.features import extract
from foresight.features.extract import compute
from foresight.features.keys import dinov2_entry, images_entry, vlm_entry
from foresight.features.requests import Request, missing_requests
from foresight.features.store import ArrayStore

BASE = TrialConfig(data=DataConfig(n_train=8, n_val=2, n_test=2, image_px=56))
LAYERS = [BASE.with_fields({"vlm.layer": layer}) for layer in ("8", "14", "final")]


def fill(store: ArrayStore, *configs: TrialConfig) -> ArrayStore:
    for stage in missing_requests(configs, store):
        for request in stage:
            compute(request, store)
    return store


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> ArrayStore:
    return fill(ArrayStore(tmp_path_factory.mktemp("cache")), *LAYERS)


@pytest.fixture
def with_images(tmp_path) -> ArrayStore:
    store = ArrayStore(tmp_path)
    compute(Request("images", (BASE,)), store)
    return store


def test_every_entry_that_is_asked_for_is_computed(filled):
    assert missing_requests(LAYERS, filled) == []


def test_stored_images_are_those_of_the_data_set(filled):
    stored, sets = filled.load(images_entry(BASE.data)[0]), load_splits(BASE.data)
    fields = ("images", "targets", "content", "content_xyxy", "masks", "boxes_xyxy", "sample_hash", "scene")
    assert set(stored) == {f"{split}-{field}" for split in SPLITS for field in fields}
    for name, array in stored.items():
        split, field = name.split("-")
        assert np.array_equal(array, getattr(sets[split], field))


def test_every_object_of_a_scene_is_stored(tmp_path):
    scenes = BASE.with_fields({"data.name": "scenes"})
    store = ArrayStore(tmp_path)
    compute(Request("images", (scenes,)), store)
    stored, sets = store.load(images_entry(scenes.data)[0]), load_splits(scenes.data)
    for split in SPLITS:
        for name in ("boxes_xyxy", "classes", "n_objects", "class_names"):
            assert np.array_equal(stored[f"{split}-objects_{name}"], getattr(sets[split].objects, name))


def test_stored_tokens_are_the_encoders_in_half_precision(filled):
    vlm, dinov2 = build_vlm(BASE.vlm), build_dinov2(BASE.dinov2, 56)
    for split, images in load_splits(BASE.data).items():
        pixels = to_pixels(images.images, "cpu")
        states = encode_vlm(vlm, pixels, [1, 2, 4])
        expected = {vlm_entry(c.data, c.vlm)[0]: states[n] for c, n in zip(LAYERS, (1, 2, 4), strict=True)}
        expected[dinov2_entry(BASE.data, BASE.dinov2)[0]] = encode_dinov2(dinov2, pixels)
        for key, tokens in expected.items():
            assert np.array_equal(filled.load(key)[split], tokens.half().numpy())


def test_several_layers_take_one_pass_of_one_vlm(with_images, monkeypatch):
    built, passes = [], []
    build, encode = extract.build_vlm, extract.encode_vlm
    monkeypatch.setattr(extract, "build_vlm", lambda *a: built.append(1) or build(*a))
    monkeypatch.setattr(extract, "encode_vlm", lambda *a: passes.append(a[2]) or encode(*a))
    ((request,),) = ([r for r in stage if r.kind == "vlm"] for stage in missing_requests(LAYERS, with_images))
    compute(request, with_images)
    assert len(built) == 1
    assert passes == [[1, 2, 4]] * len(SPLITS)


def test_what_another_process_finished_meanwhile_is_not_computed_again(filled, monkeypatch):
    for builder in ("build_vlm", "build_dinov2", "load_splits"):
        monkeypatch.setattr(extract, builder, None)
    for kind in ("images", "vlm", "dinov2"):
        compute(Request(kind, (BASE,)), filled)


@pytest.mark.parametrize("kind", ["images", "vlm", "dinov2"])
def test_two_that_ask_at_once_compute_once(with_images, monkeypatch, kind):
    # Threads stand in for processes: each locks a file of its own, as a process would.
    if kind == "images":
        with_images.discard(images_entry(BASE.data)[0])
    name = {"images": "load_splits", "vlm": "build_vlm", "dinov2": "build_dinov2"}[kind]
    build, built = getattr(extract, name), []

    def slow_build(*arguments):
        built.append(kind)
        time.sleep(0.2)  # the other one asks meanwhile
        return build(*arguments)

    monkeypatch.setattr(extract, name, slow_build)
    with ThreadPoolExecutor(2) as pool:
        stores = ArrayStore(with_images.root), ArrayStore(with_images.root)
        for finished in [pool.submit(compute, Request(kind, (BASE,)), store) for store in stores]:
            finished.result()
    assert built == [kind]
    assert kind not in {request.kind for stage in missing_requests([BASE], with_images) for request in stage}


def test_the_size_of_a_batch_changes_no_token(filled, with_images, monkeypatch):
    monkeypatch.setattr(extract, "BATCH", 3)
    fill(with_images, BASE)
    for key in (vlm_entry(BASE.data, BASE.vlm)[0], dinov2_entry(BASE.data, BASE.dinov2)[0]):
        ours, theirs = with_images.load(key), filled.load(key)
        for split in SPLITS:
            assert np.abs(ours[split].astype(float) - theirs[split]).max() < 2e-3  # one step of half precision


def test_entries_know_what_they_were_computed_with(filled):
    content = filled.content(dinov2_entry(BASE.data, BASE.dinov2)[0])
    assert content["n_params"] == sum(p.numel() for p in build_dinov2(BASE.dinov2, 56).parameters())
    assert content["dinov2"]["size"] == "L"
    contents = [filled.content(vlm_entry(config.data, config.vlm)[0]) for config in LAYERS]
    assert {c["n_params"] for c in contents} == {sum(p.numel() for p in build_vlm(BASE.vlm).parameters())}
    assert [c["vlm"]["layer"] for c in contents] == ["8", "14", "final"]


def test_activations_beyond_half_precision_stay_numbers(with_images, monkeypatch):
    monkeypatch.setattr(extract, "encode_dinov2", lambda _, pixels: torch.full((len(pixels), 16, 64), -1e9))
    compute(Request("dinov2", (BASE,)), with_images)
    for array in with_images.load(dinov2_entry(BASE.data, BASE.dinov2)[0]).values():
        assert np.isfinite(array).all()
        assert (array < -5e4).all()


def test_an_encoder_that_fails_half_way_publishes_nothing(with_images, monkeypatch):
    def fail_on_val(_, pixels):
        if len(pixels) == 2:
            raise RuntimeError("out of memory")
        return torch.zeros(len(pixels), 16, 64)

    monkeypatch.setattr(extract, "encode_dinov2", fail_on_val)
    with pytest.raises(RuntimeError, match="out of memory"):
        compute(Request("dinov2", (BASE,)), with_images)
    assert [request.kind for request in missing_requests([BASE], with_images)[0]] == ["dinov2", "vlm"]
