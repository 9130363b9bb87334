"""One pass of pictures through the whole pipeline, component after component: what every latency is measured on.

The VLM (up to the layer that is read), DINOv2, the conditioner (fusion or adapter) and the decoder work one after the other,
each synchronised with the device.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from foresight.config import TrialConfig
from foresight.encoders.dinov2 import build_dinov2, encode_dinov2
from foresight.encoders.qwen_vl import build_vlm, encode_vlm, without_later_layers
from foresight.encoders.shapes import checkpoint_name, dinov2_shape, resolve_dinov2_layer, resolve_vlm_layer, vlm_shape
from foresight.metrics.cost import timed
from foresight.models.bridge import Bridge, Features

COMPONENTS = ("vlm", "dinov2", "fusion", "decoder")
# Runs one component, named first, and gives what it returns; a pass hands it every component in turn.
Measure = Callable[[str, Callable[[], Any]], Any]


@dataclass(frozen=True)
class PipelinePass:
    """The encoders and the bridge of one trial, and the pictures that pass them, [B, 3, S, S]."""

    config: TrialConfig
    vlm: Any
    dinov2: nn.Module
    bridge: Bridge
    pixels: Tensor
    device: str

    @torch.no_grad()
    def run(self, measure: Measure, with_unread_vlm: bool = False) -> None:
        """One pass of the encoders that are read; `with_unread_vlm` for who compares with the VLM alone."""
        config = self.config
        unread = vlm_BVC = spatial_BSC = torch.empty(len(self.pixels), 0, 0, device=self.device)
        if config.streams != "dinov2" or with_unread_vlm:
            layer = resolve_vlm_layer(config.vlm.layer, vlm_shape(config.vlm).depth)
            vlm_BVC = measure("vlm", lambda: encode_vlm(self.vlm, self.pixels, [layer])[layer])
        if config.streams != "vlm":
            block = resolve_dinov2_layer(config.dinov2.layer, dinov2_shape(config.dinov2).depth)
            spatial_BSC = measure("dinov2", lambda: encode_dinov2(self.dinov2, self.pixels, [block])[block])
        read_BVC = vlm_BVC if config.streams != "dinov2" else unread
        dtype = next(self.bridge.parameters()).dtype
        features = Features(read_BVC.to(dtype), None, spatial_BSC.to(dtype), None)
        tokens_BQC = measure("fusion", lambda: self.bridge.condition(features))
        measure("decoder", lambda: self.bridge.decoder(tokens_BQC))

    def time(self, with_unread_vlm: bool = False) -> dict[str, float]:
        """Milliseconds of each component in one pass."""
        ms: dict[str, float] = {}

        def measure(component: str, run: Callable[[], Any]) -> Any:
            result, ms[component] = timed(run, self.device)
            return result

        self.run(measure, with_unread_vlm)
        return ms

    @contextmanager
    def as_far_as_read(self) -> Iterator[None]:
        """Inside, the VLM ends after the layer that is read; a DINOv2 does so by itself."""
        with without_later_layers(self.vlm, resolve_vlm_layer(self.config.vlm.layer, vlm_shape(self.config.vlm).depth)):
            yield


def build_pass(
    config: TrialConfig,
    bridge: Bridge,
    device: str,
    kept: dict[str, nn.Module],
    batch_size: int = 1,
    dtype: torch.dtype = torch.float32,
) -> PipelinePass:
    """A pass of grey pictures; the frozen encoders are taken from `kept` or built into it, once a process."""
    vlm = kept_vlm(config, device, kept, dtype)
    px = config.data.image_px
    name = f"dinov2 {checkpoint_name(config.dinov2)} {config.dinov2.size} {px} px {dtype}"
    dinov2 = _kept(name, kept, lambda: build_dinov2(config.dinov2, px, device).to(dtype))
    return PipelinePass(config, vlm, dinov2, bridge, torch.full((batch_size, 3, px, px), 0.5, device=device), device)


def kept_vlm(
    config: TrialConfig, device: str, kept: dict[str, nn.Module], dtype: torch.dtype = torch.float32
) -> nn.Module:
    """The whole frozen VLM of the trial."""
    return _kept(f"vlm {config.vlm.checkpoint} {dtype}", kept, lambda: build_vlm(config.vlm, device).to(dtype))


def compute_latency_ms(ms: dict[str, float], streams: str = "both") -> float:
    """The pass of an arm: the encoders that it reads, fusion and decoder."""
    read = {"both": ("vlm", "dinov2"), "vlm": ("vlm",), "dinov2": ("dinov2",)}[streams]
    return sum(ms[name] for name in (*read, "fusion", "decoder"))


def compute_overhead(ms: dict[str, float], streams: str = "both") -> float:
    """(pass - baseline) / baseline, where the baseline is the VLM with the decoder alone (protocols, section 2)."""
    baseline_ms = ms["vlm"] + ms["decoder"]
    return (compute_latency_ms(ms, streams) - baseline_ms) / baseline_ms


def _kept(name: str, kept: dict[str, nn.Module], build: Callable[[], nn.Module]) -> nn.Module:
    if name not in kept:
        kept[name] = build()
    return kept[name]
