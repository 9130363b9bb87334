"""The latency overhead of one arm: its pipeline against the VLM with the decoder alone, measured inside its own trial."""

from statistics import median

from foresight.config import TrialConfig
from foresight.models.bridge import Bridge
from foresight.train.pipeline_pass import build_pass, compute_latency_ms, compute_overhead
from foresight.train.precision import autocast
from foresight.train.task import Context

N_WARMUP, N_REPEATS = 5, 30


def measure_overhead(config: TrialConfig, bridge: Bridge, context: Context) -> dict[str, float]:
    """`latency_overhead` and `latency_ms`, medians over passes of one picture; see METRICS.

    The VLM is timed in every arm, since the baseline is made of it, and is part of the arm's own pipeline only where the
    arm reads it.
    """
    one_pass = build_pass(config, bridge.eval(), context.device, context.encoders)
    with one_pass.as_far_as_read(), autocast(context.device, config.train.precision):
        passes = [one_pass.time(with_unread_vlm=True) for _ in range(N_WARMUP + N_REPEATS)][N_WARMUP:]
    return {
        "latency_overhead": median(compute_overhead(ms, config.streams) for ms in passes),
        "latency_ms": median(compute_latency_ms(ms, config.streams) for ms in passes),
    }
