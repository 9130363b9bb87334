"""The latency overhead of one arm: its pipeline against the VLM with the decoder alone, measured inside its own trial."""

from collections.abc import Callable
from statistics import median

import torch
from torch import nn

from foresight.config import TrialConfig
from foresight.encoders.dinov2 import build_dinov2, encode_dinov2
from foresight.encoders.qwen_vl import build_vlm, encode_vlm, without_later_layers
from foresight.encoders.shapes import checkpoint_name, dinov2_shape, resolve_dinov2_layer, resolve_vlm_layer, vlm_shape
from foresight.metrics.cost import timed
from foresight.models.bridge import Bridge, Features
from foresight.train.precision import autocast
from foresight.train.task import Context

N_WARMUP, N_REPEATS = 5, 30


@torch.no_grad()
def measure_overhead(config: TrialConfig, bridge: Bridge, context: Context) -> dict[str, float]:
    """`latency_overhead` and `latency_ms`, medians over passes of one picture; see METRICS.

    The VLM is timed in every arm, since the baseline is made of it, and is part of the arm's own pipeline only where the
    arm reads it.
    """
    device, image_px = context.device, config.data.image_px
    vlm = kept_vlm(config, context)
    name = f"dinov2 {checkpoint_name(config.dinov2)} {config.dinov2.size} {image_px} px"
    dinov2 = _kept(name, context, lambda: build_dinov2(config.dinov2, image_px, device))
    layer = resolve_vlm_layer(config.vlm.layer, vlm_shape(config.vlm).depth)
    dinov2_layer = resolve_dinov2_layer(config.dinov2.layer, dinov2_shape(config.dinov2).depth)
    pixels = torch.full((1, 3, image_px, image_px), 0.5, device=device)
    unread = torch.empty(1, 0, 0, device=device)
    bridge.eval()

    def run_pass() -> tuple[float, float]:
        vlm_BVC, vlm_ms = timed(lambda: encode_vlm(vlm, pixels, [layer])[layer], device)
        spatial_BSC, dinov2_ms = timed(lambda: encode_dinov2(dinov2, pixels, [dinov2_layer])[dinov2_layer], device)
        reads_vlm, reads_dinov2 = config.streams != "dinov2", config.streams != "vlm"
        features = Features(vlm_BVC if reads_vlm else unread, None, spatial_BSC if reads_dinov2 else unread, None)
        tokens_BQC, fusion_ms = timed(lambda: bridge.condition(features), device)
        _, decoder_ms = timed(lambda: bridge.decoder(tokens_BQC), device)
        baseline_ms = vlm_ms + decoder_ms
        total_ms = vlm_ms * reads_vlm + dinov2_ms * reads_dinov2 + fusion_ms + decoder_ms
        return (total_ms - baseline_ms) / baseline_ms, total_ms

    with without_later_layers(vlm, layer), autocast(device, config.train.precision):
        passes = [run_pass() for _ in range(N_WARMUP + N_REPEATS)][N_WARMUP:]
    return {
        "latency_overhead": median(overhead for overhead, _ in passes),
        "latency_ms": median(total_ms for _, total_ms in passes),
    }


def kept_vlm(config: TrialConfig, context: Context) -> nn.Module:
    """The whole frozen VLM of the trial, built once a process."""
    return _kept(f"vlm {config.vlm.checkpoint}", context, lambda: build_vlm(config.vlm, context.device))


def _kept(name: str, context: Context, build: Callable[[], nn.Module]) -> nn.Module:
    if name not in context.encoders:
        context.encoders[name] = build()
    return context.encoders[name]
