"""Latency of the whole pipeline at batch 1: the encoders that are read (the VLM up to its layer), fusion and decoder."""

import platform
from statistics import median, quantiles
from typing import Any

import torch
from torch import nn

from foresight.config import TrialConfig
from foresight.encoders.shapes import feature_shapes
from foresight.models.bridge import build_bridge
from foresight.train.pipeline_pass import build_pass, compute_latency_ms

N_WARMUP, N_REPEATS = 5, 30


class Pipeline:
    """Measures one arm after another on one device, and keeps the encoders loaded between them."""

    def __init__(self, device: str, encoders: dict[str, nn.Module] | None = None):
        self.device = device
        self.encoders = {} if encoders is None else encoders

    def measure(self, config: TrialConfig) -> dict[str, Any]:
        """Median and quartiles in ms over repeats after a warm-up, with its two parts, and what it ran on."""
        device = self.device
        bridge = build_bridge(config, feature_shapes(config)).to(device).eval()
        one_pass = build_pass(config, bridge, device, self.encoders)
        with one_pass.as_far_as_read():
            passes = [one_pass.time() for _ in range(N_WARMUP + N_REPEATS)][N_WARMUP:]
        q25, latency_ms, q75 = quantiles([compute_latency_ms(ms, config.streams) for ms in passes], n=4)
        bridge_ms = [ms["fusion"] + ms["decoder"] for ms in passes]
        return {
            "latency_ms": latency_ms,
            "latency_q25_ms": q25,
            "latency_q75_ms": q75,
            "encoders_ms": median(
                compute_latency_ms(ms, config.streams) - b for ms, b in zip(passes, bridge_ms, strict=True)
            ),
            "bridge_ms": median(bridge_ms),
            "n_repeats": N_REPEATS,
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(device) if device == "cuda" else platform.machine(),
        }
