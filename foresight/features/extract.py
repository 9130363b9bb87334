"""Images and encoder features as store entries: what each entry is computed from, and how a missing one is computed.

One entry holds the three splits of one data set (`images`), or one encoder's tokens for all of them (`vlm`, `dinov2`), or
the weights of the toy decoder that this machine pretrains (`ltx`).
Trials read entries; they are written here alone, shard by shard, once for all trials of all sweeps of the machine:
`compute` does all of a request in one process, the pool of `foresight.tuning.feature_pool` deals its shards to many.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foresight.config import DataConfig, TrialConfig
from foresight.data import ImageSet, load_splits
from foresight.data.augment import encoded_rows
from foresight.encoders.dinov2 import build_dinov2, encode_dinov2
from foresight.encoders.qwen_vl import build_vlm, encode_vlm, to_pixels
from foresight.encoders.shapes import checkpoint_name, resolve_dinov2_layer, resolve_vlm_layer
from foresight.features.keys import dinov2_entry, images_entry, ltx_entry, vlm_entry
from foresight.features.requests import Request
from foresight.features.shards import (
    BATCH,
    PICTURES,
    Shard,
    claim_shard,
    is_finished,
    join_shards,
    parts_of,
    request_shards,
    tidy_shards,
)
from foresight.features.store import ArrayStore, full_disk_said
from foresight.models import ltx_shapes
from foresight.train.ltx_toy import pretrain_toy

OBJECT_ARRAYS = ("boxes_xyxy", "classes", "n_objects", "class_names")  # of an ObjectSet, `objects_*` in the store
# Qwen has a few channels with activations in the ten thousands; half precision ends at 65504.
LARGEST = 6.0e4


def compute(
    request: Request,
    store: ArrayStore,
    roots: Mapping[str, Path] | None = None,
    device: str = "cpu",
) -> None:
    """Computes a request's entries in this process; what another process finished meanwhile is left alone.

    `roots` are the folders of data sets that are read from one, by the data set's name.
    Raises RunEndedError for a full disk.
    """
    with full_disk_said(store.root):
        _compute(request, store, roots or {}, device)


def _compute(request: Request, store: ArrayStore, roots: Mapping[str, Path], device: str) -> None:
    if request.kind == "images":
        compute_images(request.configs[0], store, roots)
        return
    if request.kind == "ltx":
        compute_ltx(store)
        return
    with store.lock(f"{request.kind}-{request.images_key}"):
        absent = request.without_finished(store)
        if not absent.configs:
            return
        tidy_shards(absent.keys, store)
        shards = request_shards(absent, store)
        unfinished = [shard for shard in shards if not is_finished(shard, absent.keys, store)]
        if unfinished:
            encoder = load_encoder(absent, device)
            for shard in unfinished:
                compute_shard(absent, shard, encoder, store, device)
        for key in absent.keys:
            join_shards(key, shards, store)


def compute_images(config: TrialConfig, store: ArrayStore, roots: Mapping[str, Path]) -> None:
    """Reads or draws a data set and writes its images entry."""
    key, content = images_entry(config.data)
    with store.lock(key):
        if not store.has(key):
            _write_images(store, key, config.data, content, load_splits(config.data, roots.get(config.data.name)))


def compute_ltx(store: ArrayStore) -> None:
    """Pretrains the toy LTX-Video and writes its weights."""
    key, content = ltx_entry()
    with store.lock(key):
        if not store.has(key):
            with store.folder_writer(key, content) as folder:
                pretrain_toy(ltx_shapes.RECIPE, folder)


@dataclass(frozen=True)
class Encoder:
    """A loaded encoder, for the entries of one request."""

    contents: dict[str, dict[str, Any]]  # entry key -> what the entry says it was computed from
    encode: Callable[[torch.Tensor], dict[str, torch.Tensor]]  # pixels [B, 3, P, P] -> entry key -> tokens [B, T, C]


def load_encoder(request: Request, device: str) -> Encoder:
    """Builds the encoder of a request for tokens. One pass of it fills all entries of the request."""
    if request.kind == "dinov2":
        return _load_dinov2(request.configs, device)
    return _load_vlm(request.configs, device)


def compute_shard(request: Request, shard: Shard, encoder: Encoder, store: ArrayStore, device: str) -> None:
    """Encodes one shard for every entry of the request that lacks it, [N, tokens, channels] in half precision."""
    with contextlib.ExitStack() as stack:
        absent = stack.enter_context(claim_shard(shard, request.keys, store))
        if not absent:
            return
        pictures = store.load(request.images_key)[f"{shard.split}{PICTURES}"][shard.start : shard.stop]
        creators = {
            key: stack.enter_context(parts_of(store, key).writer(shard.name, encoder.contents[key])) for key in absent
        }
        arrays: dict[str, np.ndarray] = {}
        for start in range(0, len(pictures), BATCH):
            tokens = encoder.encode(to_pixels(pictures[start : start + BATCH], device))
            for key in absent:
                tokens_BNC = tokens[key]
                if start == 0:
                    arrays[key] = creators[key]("tokens", (len(pictures), *tokens_BNC.shape[1:]), np.float16)
                arrays[key][start : start + BATCH] = tokens_BNC.clamp(-LARGEST, LARGEST).cpu().numpy()


def _write_images(
    store: ArrayStore, key: str, data: DataConfig, content: dict[str, Any], splits: dict[str, ImageSet]
) -> None:
    """One array for each split and name. Those of `train` go on with the views; hashes and scenes are of the images alone."""
    with store.writer(key, content) as create:
        for split, images in splits.items():
            for name in ("sample_hash", "scene"):
                array = np.asarray(getattr(images, name))
                create(f"{split}-{name}", array.shape, array.dtype)[...] = array
            n_rows = len(images) * (data.n_train_rows // data.n_train if split == "train" else 1)
            arrays: dict[str, np.ndarray] = {}
            for start, chunk in encoded_rows(images, data):
                for name, array in chunk.items():
                    if start == 0:
                        arrays[name] = create(f"{split}-{name}", (n_rows, *array.shape[1:]), array.dtype)
                    arrays[name][start : start + len(array)] = array
            if images.objects is not None:
                for name in OBJECT_ARRAYS:
                    array = np.asarray(getattr(images.objects, name))
                    create(f"{split}-objects_{name}", array.shape, array.dtype)[...] = array


def _load_dinov2(configs: tuple[TrialConfig, ...], device: str) -> Encoder:
    first = configs[0]
    model: Any = build_dinov2(first.dinov2, first.data.image_px, device)
    entries = {dinov2_entry(c.data, c.dinov2)[0]: c for c in configs}
    layers = {key: resolve_dinov2_layer(config.dinov2.layer, len(model.blocks)) for key, config in entries.items()}

    def encode(pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        tokens = encode_dinov2(model, pixels, sorted(set(layers.values())))
        return {key: tokens[layer] for key, layer in layers.items()}

    known = {"n_params": sum(p.numel() for p in model.parameters()), "name": checkpoint_name(first.dinov2)}
    return Encoder({key: dinov2_entry(c.data, c.dinov2)[1] | known for key, c in entries.items()}, encode)


def _load_vlm(configs: tuple[TrialConfig, ...], device: str) -> Encoder:
    entries = {vlm_entry(c.data, c.vlm)[0]: c for c in configs}
    model: Any = build_vlm(configs[0].vlm, device)
    n_params = sum(p.numel() for p in model.parameters())
    depth = model.config.text_config.num_hidden_layers
    layers = {key: resolve_vlm_layer(config.vlm.layer, depth) for key, config in entries.items()}

    def encode(pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        tokens = encode_vlm(model, pixels, list(dict.fromkeys(layers.values())))
        return {key: tokens[layer] for key, layer in layers.items()}

    contents = {key: vlm_entry(c.data, c.vlm)[1] | {"n_params": n_params} for key, c in entries.items()}
    return Encoder(contents, encode)
