"""Images and encoder features as store entries: what each entry is computed from, and how a missing one is computed.

One entry holds the three splits of one data set (`images`), or one encoder's tokens for all of them (`vlm`, `dinov2`), or
the weights of the toy decoder that this machine pretrains (`ltx`).
Trials read entries; only `compute` writes them, once for all trials of all sweeps of the machine.
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foresight.config import DataConfig, TrialConfig
from foresight.data import ImageSet, load_splits
from foresight.encoders.dinov2 import build_dinov2, encode_dinov2
from foresight.encoders.qwen_vl import build_vlm, encode_vlm, to_pixels
from foresight.encoders.shapes import checkpoint_name, resolve_layer
from foresight.features.keys import dinov2_entry, images_entry, ltx_entry, vlm_entry
from foresight.features.requests import Request
from foresight.features.store import ArrayStore
from foresight.models import ltx_shapes
from foresight.train.ltx_toy import pretrain_toy

SPLITS = ("train", "val", "test")
BATCH = 32
# Qwen has a few channels with activations in the ten thousands; half precision ends at 65504.
LARGEST = 6.0e4


def compute(
    request: Request,
    store: ArrayStore,
    roots: Mapping[str, Path] | None = None,
    device: str = "cpu",
) -> None:
    """Computes a request's entries; one that another process finished meanwhile is left alone.

    `roots` are the folders of data sets that are read from one, by the data set's name.
    """
    config = request.configs[0]
    if request.kind == "images":
        key, content = images_entry(config.data)
        with store.lock(key):
            if not store.has(key):
                _write_images(store, key, content, load_splits(config.data, (roots or {}).get(config.data.name)))
        return
    if request.kind == "ltx":
        key, content = ltx_entry()
        with store.lock(key):
            if not store.has(key):
                with store.folder_writer(key, content) as folder:
                    pretrain_toy(ltx_shapes.RECIPE, folder)
        return
    with store.lock(f"{request.kind}-{images_entry(config.data)[0]}"):
        if request.kind == "dinov2":
            _compute_dinov2(config, store, device)
        else:
            _compute_vlm(request.configs, store, device)


def _write_images(store: ArrayStore, key: str, content: dict[str, Any], splits: dict[str, ImageSet]) -> None:
    with store.writer(key, content) as create:
        for split, images in splits.items():
            for name in (
                "images",
                "targets",
                "content",
                "content_xyxy",
                "masks",
                "boxes_xyxy",
                "sample_hash",
                "scene",
            ):
                array = np.asarray(getattr(images, name))
                create(f"{split}-{name}", array.shape, array.dtype)[...] = array


def _compute_dinov2(config: TrialConfig, store: ArrayStore, device: str) -> None:
    key, content = dinov2_entry(config.data, config.dinov2)
    if store.has(key):
        return
    model = build_dinov2(config.dinov2, config.data.image_px, device)
    content = content | {
        "n_params": sum(p.numel() for p in model.parameters()),
        "name": checkpoint_name(config.dinov2),
    }
    _write_tokens(
        store,
        {key: content},
        config.data,
        device,
        lambda pixels: {key: encode_dinov2(model, pixels)},
    )


def _compute_vlm(configs: tuple[TrialConfig, ...], store: ArrayStore, device: str) -> None:
    entries = {vlm_entry(c.data, c.vlm)[0]: c for c in configs}
    entries = {key: config for key, config in entries.items() if not store.has(key)}
    if not entries:
        return
    model: Any = build_vlm(configs[0].vlm, device)
    n_params = sum(p.numel() for p in model.parameters())
    depth = model.config.text_config.num_hidden_layers
    layers = {key: resolve_layer(config.vlm.layer, depth) for key, config in entries.items()}

    def encode(pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        states = encode_vlm(model, pixels, sorted(set(layers.values())))
        return {key: states[layer] for key, layer in layers.items()}

    contents = {key: vlm_entry(c.data, c.vlm)[1] | {"n_params": n_params} for key, c in entries.items()}
    _write_tokens(store, contents, configs[0].data, device, encode)


def _write_tokens(
    store: ArrayStore,
    contents: dict[str, dict[str, Any]],
    data: DataConfig,
    device: str,
    encode: Callable[[torch.Tensor], dict[str, torch.Tensor]],
) -> None:
    """Streams every split through `encode` into one entry for each key, [N, tokens, channels] in half precision."""
    images = store.load(images_entry(data)[0])
    with contextlib.ExitStack() as stack:
        creators = {key: stack.enter_context(store.writer(key, content)) for key, content in contents.items()}
        for split in SPLITS:
            pictures = images[f"{split}-images"]
            arrays: dict[str, np.ndarray] = {}
            for start in range(0, len(pictures), BATCH):
                tokens = encode(to_pixels(pictures[start : start + BATCH], device))
                for key, tokens_BNC in tokens.items():
                    if start == 0:
                        shape = (len(pictures), *tokens_BNC.shape[1:])
                        arrays[key] = creators[key](split, shape, np.float16)
                    arrays[key][start : start + BATCH] = tokens_BNC.clamp(-LARGEST, LARGEST).cpu().numpy()
