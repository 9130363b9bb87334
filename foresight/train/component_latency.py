"""How long each component of the pipeline takes, and what it keeps in memory: a trial that trains nothing (E-P2.6).

Pictures pass the VLM (up to the layer that is read), DINOv2, the conditioner (fusion or adapter) and the decoder, one
component after the other, each synchronised with the device. Weights do not matter to that, so the bridge is new.
"""

import hashlib
import platform
import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from foresight.encoders.dinov2 import build_dinov2, encode_dinov2
from foresight.encoders.qwen_vl import build_vlm, encode_vlm, without_later_layers
from foresight.encoders.shapes import (
    FeatureShapes,
    checkpoint_name,
    dinov2_shape,
    feature_shapes,
    resolve_dinov2_layer,
    resolve_vlm_layer,
    vlm_shape,
)
from foresight.metrics import METRICS
from foresight.metrics.cost import compute_flops, count_sizes, timed
from foresight.models.bridge import Bridge, Features
from foresight.train.precision import autocast
from foresight.train.task import Measurement, TrialResult

COMPONENTS = ("vlm", "dinov2", "fusion", "decoder")
BYTES_PER_MB = 2**20
# Runs one component, named first, and gives what it returns; a pass hands it every component in turn.
Measure = Callable[[str, Callable[[], Any]], Any]
Pass = Callable[[Measure], None]


class ComponentLatency(Measurement):
    """Times the components over repeats of the whole pass; its test items are those repeats."""

    def assemble(self, shapes: FeatureShapes) -> Bridge:
        config = self.config
        return Bridge(config.conditioner, config.decoder, config.data.target_px, shapes)

    def decoder(self, model: nn.Module) -> nn.Module:
        return model.decoder

    def count_flops(self, model: nn.Module, one_image: Features) -> float:
        return compute_flops(model, one_image)

    @torch.no_grad()
    def run(self) -> TrialResult:
        started = time.perf_counter()
        config, device, timing = self.config, self.device, self.config.timing
        dtype = torch.bfloat16 if timing.precision == "bf16" else torch.float32
        vlm: Any = self._encoder(f"vlm {config.vlm.checkpoint}", dtype, lambda: build_vlm(config.vlm, device))
        dinov2 = self._encoder(
            f"dinov2 {checkpoint_name(config.dinov2)} {config.dinov2.size} {config.data.image_px} px",
            dtype,
            lambda: build_dinov2(config.dinov2, config.data.image_px, device),
        )
        shapes = feature_shapes(config)
        bridge = self.build(shapes).eval()
        flops = self.count_flops(bridge, _zeros(shapes, device))
        bridge.to(dtype)
        layer = resolve_vlm_layer(config.vlm.layer, vlm_shape(config.vlm).depth)
        dinov2_layer = resolve_dinov2_layer(config.dinov2.layer, dinov2_shape(config.dinov2).depth)
        pixels = torch.full((timing.batch_size, 3, config.data.image_px, config.data.image_px), 0.5, device=device)

        def run_pass(measure: Measure) -> None:
            vlm_BVC: Tensor = measure("vlm", lambda: encode_vlm(vlm, pixels, [layer])[layer])
            spatial_BSC: Tensor = measure("dinov2", lambda: encode_dinov2(dinov2, pixels, [dinov2_layer])[dinov2_layer])
            features = Features(vlm_BVC.to(dtype), None, spatial_BSC.to(dtype), None)
            tokens_BQC = measure("fusion", lambda: bridge.condition(features))
            measure("decoder", lambda: bridge.decoder(tokens_BQC))

        with without_later_layers(vlm, layer), autocast(device, timing.precision):
            rows = [self._time_pass(run_pass) for _ in range(timing.n_warmup + timing.n_repeats)][timing.n_warmup :]
            weights_mb = self._weights_mb(vlm, dinov2, bridge)
            activations_mb = self._peak_activations_mb(run_pass)
        samples = _repeats(rows)
        trial_s = time.perf_counter() - started
        on_gpu = torch.device(device).type == "cuda"
        n_encoder_params = sum(p.numel() for encoder in (vlm, dinov2) for p in encoder.parameters())
        columns: dict[str, Any] = {
            **_summary(samples),
            **{f"latency/{name}_weights_mb": mb for name, mb in weights_mb.items()},
            **{f"latency/{name}_peak_mb": weights_mb[name] + mb for name, mb in activations_mb.items()},
            **{f"cost/{name}": size for name, size in count_sizes(bridge, bridge.decoder).items()},
            "cost/params_total": n_encoder_params + sum(p.numel() for p in bridge.parameters()),
            "cost/budget_params": config.adapter.budget_params if config.bridge == "adapter" else None,
            "cost/flops": flops,
            "cost/latency_ms": float(samples["latency_ms"].median()),
            "cost/train_s": 0.0,
            "cost/trial_s": trial_s,
            "cost/gpu_s": trial_s if on_gpu else 0.0,
            # Everything stays loaded; the components work one after the other.
            "cost/peak_memory_mb": sum(weights_mb.values()) + max(activations_mb.values()) if on_gpu else None,
            "data/items": "timed repeats",
            "data/n_test": len(samples),
            "data/test_hash": hashlib.sha256(" ".join(samples["sample_hash"]).encode()).hexdigest()[:16],
            "env/device_name": torch.cuda.get_device_name(device) if on_gpu else platform.machine(),
            "env/metric_ids": " ".join(METRICS[name].id for name in rows[0]),
        }
        return TrialResult(columns, samples, {})

    def _encoder(self, name: str, dtype: torch.dtype, build: Callable[[], nn.Module]) -> nn.Module:
        """The encoder in that precision, loaded once a process."""
        kept = self.context.encoders
        key = f"{name} {dtype}"
        if key not in kept:
            kept[key] = build().to(dtype)
        return kept[key]

    def _time_pass(self, run_pass: Pass) -> dict[str, float]:
        """The metrics of one pass."""
        ms: dict[str, float] = {}

        def measure(component: str, run: Callable[[], Any]) -> Any:
            result, ms[component] = timed(run, self.device)
            return result

        run_pass(measure)
        return compute_latency_metrics(ms)

    def _peak_activations_mb(self, run_pass: Pass) -> dict[str, float]:
        """What each component allocates at most beside what was there before it. GPUs only: a CPU does not tell."""
        if torch.device(self.device).type != "cuda":
            return {}
        found: dict[str, float] = {}

        def measure(component: str, run: Callable[[], Any]) -> Any:
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_allocated(self.device)
            result = run()
            torch.cuda.synchronize(self.device)
            found[component] = (torch.cuda.max_memory_allocated(self.device) - before) / BYTES_PER_MB
            return result

        run_pass(measure)
        return found

    def _weights_mb(self, vlm: nn.Module, dinov2: nn.Module, bridge: Bridge) -> dict[str, float]:
        """Parameters and buffers of each component; of the VLM, without the layers that are not computed."""
        decoder = _module_mb(bridge.decoder)
        sizes = (_module_mb(vlm), _module_mb(dinov2), _module_mb(bridge) - decoder, decoder)
        return dict(zip(COMPONENTS, sizes, strict=True))


def compute_latency_metrics(ms: dict[str, float]) -> dict[str, float]:
    """The METRICS of one pass from the milliseconds of its components."""
    baseline_ms = ms["vlm"] + ms["decoder"]
    total_ms = sum(ms[name] for name in COMPONENTS)
    return {
        "latency_overhead": (total_ms - baseline_ms) / baseline_ms,
        "latency_ms": total_ms,
        **{f"latency_{name}_ms": ms[name] for name in COMPONENTS},
    }


def _summary(samples: pd.DataFrame) -> dict[str, Any]:
    """`test/<metric>`: medians over the repeats; `latency/*`: their number and quartiles."""
    columns: dict[str, Any] = {"latency/n_repeats": len(samples)}
    for name in samples.columns[3:]:
        columns[f"test/{name}"] = median(samples[name])
        spread = name.removeprefix("latency_")
        columns[f"latency/{spread}_q25"], _, columns[f"latency/{spread}_q75"] = quantiles(samples[name], n=4)
    return columns


def _repeats(rows: list[dict[str, float]]) -> pd.DataFrame:
    named = [{"sample_hash": f"repeat-{i:03d}", "split": "test", "scene": ""} | row for i, row in enumerate(rows)]
    return pd.DataFrame(named)


def _module_mb(module: nn.Module) -> float:
    tensors = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) / BYTES_PER_MB


def _zeros(shapes: FeatureShapes, device: str) -> Features:
    """Features of one picture of nothing, to count operations with."""
    vlm = torch.zeros(1, shapes.vlm_grid**2, shapes.vlm_dim, device=device)
    return Features(vlm, None, torch.zeros(1, shapes.spatial_grid**2, shapes.spatial_dim, device=device), None)
