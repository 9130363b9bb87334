"""Where the frozen parts of LTX-Video come from: a checkpoint of diffusers' layout, or a toy pretrained on this machine.

A checkpoint is a folder with `vae`, `transformer` and `scheduler`, local or of the hub. The text encoder is not read: the
bridge's conditioning tokens stand in the place of its tokens.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch

from foresight.config import TOY_LTX, DecoderConfig
from foresight.encoders.checkpoints import local_checkpoint, weights_fingerprint
from foresight.features.keys import ltx_entry
from foresight.features.store import ArrayStore
from foresight.models import ltx_shapes

UNTRAINED = "random seed 0"


@dataclass(frozen=True)
class LtxParts:
    """The modules of LTX-Video, and what identifies their weights."""

    vae: Any
    transformer: Any
    scheduler: Any
    weights: str


def untrained_parts(checkpoint: str) -> LtxParts:
    """The architecture with seeded random weights, on torch's default device; in bfloat16 unless it is the toy's."""
    on_meta = torch.get_default_device().type == "meta"
    return _without_weights(checkpoint) if on_meta else _untrained_parts(checkpoint)


@cache
def _without_weights(checkpoint: str) -> LtxParts:
    """On the meta device, where a plan builds one for every arm."""
    return _untrained_parts(checkpoint)


def _untrained_parts(checkpoint: str) -> LtxParts:
    from diffusers import AutoencoderKLLTXVideo, FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel

    toy = checkpoint == TOY_LTX
    with _seeded(_precision(checkpoint)):
        vae = AutoencoderKLLTXVideo(**(ltx_shapes.TOY_VAE if toy else {}))
    with _seeded(_precision(checkpoint)):
        transformer = LTXVideoTransformer3DModel(**(ltx_shapes.TOY_TRANSFORMER if toy else {}))
    return LtxParts(vae.eval(), transformer.eval(), FlowMatchEulerDiscreteScheduler(), UNTRAINED)


def load_parts(config: DecoderConfig, cache: Path | None, device: str) -> LtxParts:
    """The parts that a config names, frozen, kept for the next trial of this process.

    The toy is read from the feature cache at `cache`. Raises KeyError when it was not pretrained (see
    `foresight.train.ltx_toy`) and CorruptEntryError when its files changed.
    """
    if config.checkpoint != TOY_LTX:
        source = str(local_checkpoint(config.checkpoint) or config.checkpoint)
        return _load(config.checkpoint, source, config.pretrained, weights_fingerprint(config.checkpoint), device)
    assert cache is not None, "the toy LTX-Video lies in the feature cache, and this context has none"
    store, (key, _) = ArrayStore(cache), ltx_entry()
    return _load(config.checkpoint, str(store.folder(key)), config.pretrained, store.digest(key), device)


@lru_cache(maxsize=2)
def _load(checkpoint: str, source: str, pretrained: bool, fingerprint: str, device: str) -> LtxParts:
    from diffusers import AutoencoderKLLTXVideo, FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel

    # Loading with less memory would need another package, accelerate; a process loads once.
    options: dict[str, Any] = {"torch_dtype": _precision(checkpoint), "low_cpu_mem_usage": False}
    vae = AutoencoderKLLTXVideo.from_pretrained(source, subfolder="vae", **options)
    if pretrained:
        transformer = LTXVideoTransformer3DModel.from_pretrained(source, subfolder="transformer", **options)
    else:
        shape = LTXVideoTransformer3DModel.load_config(source, subfolder="transformer")
        with _seeded(options["torch_dtype"]):
            transformer = LTXVideoTransformer3DModel.from_config(shape)
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(source, subfolder="scheduler")
    weights = fingerprint if pretrained else f"{fingerprint}, transformer {UNTRAINED}"
    vae, transformer = (part.to(device).eval().requires_grad_(False) for part in (vae, transformer))
    return LtxParts(vae, transformer, scheduler, weights)


@contextlib.contextmanager
def _seeded(precision: torch.dtype) -> Iterator[None]:
    """Weights that are drawn inside are of this precision and the same every time."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(precision)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield
    finally:
        torch.set_default_dtype(before)


def _precision(checkpoint: str) -> torch.dtype:
    return torch.float32 if checkpoint == TOY_LTX else torch.bfloat16
