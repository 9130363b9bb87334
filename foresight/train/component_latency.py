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
from torch import nn

from foresight.encoders.shapes import FeatureShapes, feature_shapes
from foresight.metrics import METRICS
from foresight.metrics.cost import compute_flops, count_sizes
from foresight.models.bridge import Bridge, Features
from foresight.train.pipeline_pass import COMPONENTS, PipelinePass, build_pass, compute_latency_ms, compute_overhead
from foresight.train.precision import autocast
from foresight.train.task import Measurement, TrialResult

BYTES_PER_MB = 2**20


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
        shapes = feature_shapes(config)
        bridge = self.build(shapes).eval()
        flops = self.count_flops(bridge, _zeros(shapes, device))
        bridge.to(dtype)
        one_pass = build_pass(config, bridge, device, self.context.encoders, timing.batch_size, dtype)
        with one_pass.as_far_as_read(), autocast(device, timing.precision):
            passes = [one_pass.time() for _ in range(timing.n_warmup + timing.n_repeats)][timing.n_warmup :]
            weights_mb = _weights_mb(one_pass)
            activations_mb = self._peak_activations_mb(one_pass)
        rows = [_metrics(ms) for ms in passes]
        samples = _repeats(rows)
        trial_s = time.perf_counter() - started
        on_gpu = torch.device(device).type == "cuda"
        n_encoder_params = sum(p.numel() for encoder in (one_pass.vlm, one_pass.dinov2) for p in encoder.parameters())
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

    def _peak_activations_mb(self, one_pass: PipelinePass) -> dict[str, float]:
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

        one_pass.run(measure)
        return found


def _weights_mb(one_pass: PipelinePass) -> dict[str, float]:
    """Parameters and buffers of each component; of the VLM, without the layers that are not computed."""
    bridge, decoder = one_pass.bridge, _module_mb(one_pass.bridge.decoder)
    sizes = (_module_mb(one_pass.vlm), _module_mb(one_pass.dinov2), _module_mb(bridge) - decoder, decoder)
    return dict(zip(COMPONENTS, sizes, strict=True))


def _metrics(ms: dict[str, float]) -> dict[str, float]:
    """The METRICS of one pass from the milliseconds of its components."""
    return {
        "latency_overhead": compute_overhead(ms),
        "latency_ms": compute_latency_ms(ms),
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
