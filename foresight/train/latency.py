"""Latency of the whole pipeline at batch 1: both encoders (the VLM up to the layer that is read), fusion and decoder."""

import platform
from typing import Any

import torch

from foresight.config import TrialConfig
from foresight.encoders.dinov2 import build_dinov2, encode_dinov2
from foresight.encoders.qwen_vl import build_vlm, encode_vlm, without_later_layers
from foresight.encoders.shapes import feature_shapes, resolve_dinov2_layer, resolve_vlm_layer
from foresight.metrics.cost import measure_latency
from foresight.models.bridge import Features, build_bridge


class Pipeline:
    """Measures one arm after another on one device, and keeps the encoders loaded between them."""

    def __init__(self, device: str):
        self.device = device
        self.encoders: dict[str, Any] = {}

    def measure(self, config: TrialConfig) -> dict[str, Any]:
        """Median and quartiles in ms over 30 repeats after 5 warm-ups, with its two parts, and what it ran on."""
        device, image_px = self.device, config.data.image_px
        vlm = self._encoder(f"vlm {config.vlm.checkpoint}", lambda: build_vlm(config.vlm, device))
        dinov2 = self._encoder(
            f"dinov2 {config.dinov2.checkpoint} {config.dinov2.size}",
            lambda: build_dinov2(config.dinov2, image_px, device),
        )
        bridge = build_bridge(config, feature_shapes(config)).to(device).eval()
        pixels = torch.full((1, 3, image_px, image_px), 0.5, device=device)
        vlm_layer = resolve_vlm_layer(config.vlm.layer, len(vlm.language_model.layers))
        dinov2_layer = resolve_dinov2_layer(config.dinov2.layer, len(dinov2.blocks))
        unread = torch.empty(1, 0, 0, device=device)

        @torch.no_grad()
        def encode() -> Features:
            vlm_BVC = spatial_BSC = unread
            if config.streams != "dinov2":
                vlm_BVC = encode_vlm(vlm, pixels, [vlm_layer])[vlm_layer]
            if config.streams != "vlm":
                spatial_BSC = encode_dinov2(dinov2, pixels, [dinov2_layer])[dinov2_layer]
            return Features(vlm_BVC, None, spatial_BSC, None)

        @torch.no_grad()
        def run_bridge(features: Features) -> None:
            bridge(features)

        with without_later_layers(vlm, vlm_layer):  # a DINOv2 stops at its layer by itself
            features = encode()
            whole = measure_latency(lambda: run_bridge(encode()), device)
            encoders = measure_latency(encode, device)
            bridge_alone = measure_latency(lambda: run_bridge(features), device)
        return {
            "latency_ms": whole["median_ms"],
            "latency_q25_ms": whole["q25_ms"],
            "latency_q75_ms": whole["q75_ms"],
            "encoders_ms": encoders["median_ms"],
            "bridge_ms": bridge_alone["median_ms"],
            "n_repeats": whole["n_repeats"],
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(device) if device == "cuda" else platform.machine(),
        }

    def _encoder(self, name: str, build: Any) -> Any:
        if name not in self.encoders:
            self.encoders[name] = build()
        return self.encoders[name]
