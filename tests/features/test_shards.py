"""Entries computed in parts: the same bits however they are cut and whoever computes them, and nothing done twice."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from foresight.config import DataConfig, TrialConfig
from foresight.encoders.dinov2 import build_dinov2, encode_dinov2
from foresight.encoders.qwen_vl import build_vlm, encode_vlm, to_pixels
from foresight.errors import RunEndedError
from foresight.features import extract, shards
from foresight.features.extract import compute, compute_shard, load_encoder
from foresight.features.requests import Request
from foresight.features.shards import (
    Shard,
    join_shards,
    parts_of,
    pictures_done,
    request_shards,
    shards_of,
    tidy_shards,
)
from foresight.features.store import ArrayStore

# 70 images of training: two whole batches of 32, and one of 6.
BASE = TrialConfig(data=DataConfig(n_train=70, n_val=2, n_test=33, image_px=28))
LAYERS = tuple(BASE.with_fields({"vlm.layer": layer}) for layer in ("8", "14", "final"))
VLM, DINOV2 = Request("vlm", LAYERS), Request("dinov2", (BASE,))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> ArrayStore:
    store = ArrayStore(tmp_path_factory.mktemp("drawn"))
    compute(Request("images", (BASE,)), store)
    return store


@pytest.fixture
def store(drawn, tmp_path) -> ArrayStore:
    """A store that has the images and no tokens."""
    (tmp_path / DINOV2.images_key).symlink_to(drawn.root / DINOV2.images_key)
    return ArrayStore(tmp_path)


@pytest.fixture
def passes(monkeypatch) -> list[int]:
    """How many pictures each pass of DINOv2 saw."""
    seen: list[int] = []
    encode = extract.encode_dinov2
    monkeypatch.setattr(
        extract,
        "encode_dinov2",
        lambda model, pixels, layers: seen.append(len(pixels)) or encode(model, pixels, layers),
    )
    return seen


def compute_in_shards(request: Request, store: ArrayStore, size: int) -> None:
    encoder, parts = load_encoder(request, "cpu"), request_shards(request, store, size)
    for shard in reversed(parts):  # the order is nobody's promise
        compute_shard(request, shard, encoder, store, "cpu")
    for key in request.keys:
        join_shards(key, parts, store)


def files_of(key: str, store: ArrayStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (store.root / key).iterdir()}


def test_shards_are_whole_batches_of_one_split_but_the_last():
    assert shards_of({"train": 70, "val": 2}, 64) == [Shard("train", 0, 64), Shard("train", 64, 70), Shard("val", 0, 2)]
    assert [len(shard) for shard in shards_of({"train": 1024}, 512)] == [512, 512]
    with pytest.raises(ValueError, match="whole batches of 32 pictures, not 48"):
        shards_of({"train": 70}, 48)


@pytest.mark.parametrize("request_", [VLM, DINOV2], ids=["vlm", "dinov2"])
def test_entries_are_those_of_one_pass_whatever_the_size_of_a_shard(store, tmp_path_factory, request_):
    compute(request_, store)
    whole = {key: files_of(key, store) for key in request_.keys}
    for size in (32, 64):
        other = ArrayStore(tmp_path_factory.mktemp(str(size)))
        (other.root / DINOV2.images_key).symlink_to(store.root / DINOV2.images_key)
        compute_in_shards(request_, other, size)
        assert {key: files_of(key, other) for key in request_.keys} == whole


def test_entries_hold_what_the_encoders_give_for_batches_of_the_split(store):
    compute(VLM, store)
    compute(DINOV2, store)
    vlm, dinov2, (dinov2_key,) = build_vlm(BASE.vlm), build_dinov2(BASE.dinov2, 28), DINOV2.keys
    for split in ("train", "val", "test"):
        pictures = store.load(DINOV2.images_key)[f"{split}-images"]
        for start in range(0, len(pictures), 32):
            pixels = to_pixels(pictures[start : start + 32], "cpu")
            expected = dict(zip(VLM.keys, encode_vlm(vlm, pixels, [1, 2, 4]).values(), strict=True))
            expected[dinov2_key] = encode_dinov2(dinov2, pixels, [2])[2]
            for key, tokens in expected.items():
                assert np.array_equal(store.load(key)[split][start : start + 32], tokens.half().numpy())


def test_all_layers_of_a_shard_come_from_one_pass(store, monkeypatch):
    asked = []
    encode = extract.encode_vlm
    monkeypatch.setattr(extract, "encode_vlm", lambda *a: asked.append(a[2]) or encode(*a))
    compute_in_shards(VLM, store, 32)
    assert asked == [[1, 2, 4]] * (3 + 1 + 2)


def test_a_finished_shard_is_never_computed_again(store, monkeypatch, passes):
    monkeypatch.setattr(extract, "request_shards", lambda *a: request_shards(*a, 32))
    encode = extract.encode_dinov2
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="out of memory"):

        def fail_at_the_third(model, pixels, layers):
            if len(passes) == 2:
                raise RuntimeError("out of memory")
            return encode(model, pixels, layers)

        patch.setattr(extract, "encode_dinov2", fail_at_the_third)
        compute(DINOV2, store)
    assert not store.has(DINOV2.keys[0])
    assert pictures_done(DINOV2.keys[0], store) == 64
    compute(DINOV2, store)
    assert passes == [32, 32, 6, 2, 32, 1]
    assert pictures_done(DINOV2.keys[0], store) == 0


def test_a_layer_whose_shards_are_finished_is_left_out_of_the_next_pass(store, monkeypatch):
    final = Request("vlm", LAYERS[2:])
    parts = request_shards(final, store, 32)
    compute_shard(final, parts[0], load_encoder(final, "cpu"), store, "cpu")
    written = parts_of(store, final.keys[0]).root / parts[0].name / "meta.json"
    before = written.stat().st_mtime_ns
    compute_shard(VLM, parts[0], load_encoder(VLM, "cpu"), store, "cpu")
    assert all(parts_of(store, key).has(parts[0].name) for key in VLM.keys)
    assert written.stat().st_mtime_ns == before


def test_a_death_while_joining_costs_nothing_but_the_joining(store, monkeypatch, passes):
    (key,), parts = DINOV2.keys, request_shards(DINOV2, store, 32)
    encoder = load_encoder(DINOV2, "cpu")
    for shard in parts:
        compute_shard(DINOV2, shard, encoder, store, "cpu")
    n_passes = len(passes)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shards, "remove_shards", lambda *a: pytest.fail("removed before the entry was there"))

        def killed(path):
            raise KeyboardInterrupt

        patch.setattr("foresight.features.store._file_digest", killed)
        join_shards(key, parts, store)
    assert not store.has(key)
    join_shards(key, parts, store)
    assert store.has(key)
    assert len(passes) == n_passes


def test_what_a_death_after_joining_left_is_removed(store, capsys):
    (key,) = DINOV2.keys
    compute(DINOV2, store)
    left = parts_of(store, key)
    with left.writer("train-0000000-0000032", {}) as create:
        create("tokens", (1,), "u1")[...] = 1
    (store.root / "locks" / f"{key}.train-0000000-0000032.lock").touch()
    tidy_shards([key], store)
    assert not left.root.exists()
    assert [path.name for path in (store.root / "locks").glob(f"{key}.*.lock")] == []
    assert capsys.readouterr().err == ""


def test_a_shard_whose_bytes_changed_is_named_and_computed_again(store, passes, capsys):
    (key,), parts = DINOV2.keys, request_shards(DINOV2, store)
    encoder = load_encoder(DINOV2, "cpu")
    for shard in parts:
        compute_shard(DINOV2, shard, encoder, store, "cpu")
    path = parts_of(store, key).root / parts[0].name / "tokens.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    passes.clear()
    compute(DINOV2, store)
    assert passes == [32, 32, 6]
    said = capsys.readouterr().err
    assert "does not have its checksum" in said
    assert said.count("\n") == 1


def test_processes_that_take_the_same_shards_compute_each_once(store, passes):
    # Threads stand in for processes: each locks a file of its own, as a process would.
    parts = request_shards(DINOV2, store, 32)
    encoder = load_encoder(DINOV2, "cpu")

    def work(worker: int) -> None:
        own = ArrayStore(store.root)
        for shard in parts:
            compute_shard(DINOV2, shard, encoder, own, "cpu")
        join_shards(DINOV2.keys[0], parts, own)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert sum(passes) == 70 + 2 + 33
    assert store.has(DINOV2.keys[0])
    assert not parts_of(store, DINOV2.keys[0]).root.exists()


def test_a_full_disk_is_an_error_before_anything_is_written(store, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RunEndedError, match=r"the feature cache cannot be written to .*No space left"):
        compute(DINOV2, store)
    assert pictures_done(DINOV2.keys[0], store) == 0
    monkeypatch.undo()
    compute(DINOV2, store)
    assert torch.from_numpy(np.array(store.load(DINOV2.keys[0])["test"])).isfinite().all()
