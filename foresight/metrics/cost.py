"""What an arm costs: parameters that a gradient reaches, FLOPs, latency. Sizes are measured, never read off a label."""

import time
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from foresight.models.bridge import Features

Result = TypeVar("Result")


def count_parameters(
    model: nn.Module,
    decoder: nn.Module | None,
    reached: set[str],
    n_encoder_params: int,
    trained_before: nn.Module | None = None,
) -> dict[str, int]:
    """`cost/params_*`: trained (without the decoder), of the decoder, and of the whole pipeline with its frozen encoders.

    Raises ValueError naming the parameters that no gradient reaches: they would be counted and never used.
    """
    unreached = [name for name, p in model.named_parameters() if p.requires_grad and name not in reached]
    if unreached:
        raise ValueError(f"no gradient reaches {unreached}; a parameter that is counted must be used")
    sizes = {f"cost/{name}": size for name, size in count_sizes(model, decoder, trained_before).items()}
    return {"cost/params_total": n_encoder_params + sum(p.numel() for p in model.parameters()), **sizes}


def count_sizes(model: nn.Module, decoder: nn.Module | None, trained_before: nn.Module | None = None) -> dict[str, int]:
    """`params_trained` without those of the decoder, and `params_decoder`, trained or frozen.

    `trained_before` is the part that another trial has trained and this one keeps: an arm costs both.
    """
    of_decoder = {id(p) for p in decoder.parameters()} if decoder is not None else set()
    before = {id(p) for p in trained_before.parameters()} if trained_before is not None else set()
    trained = [p for p in model.parameters() if (p.requires_grad or id(p) in before) and id(p) not in of_decoder]
    return {
        "params_trained": sum(p.numel() for p in trained),
        "params_decoder": sum(p.numel() for p in decoder.parameters()) if decoder is not None else 0,
    }


@torch.no_grad()
def compute_flops(bridge: nn.Module, one_image: Features) -> float:
    """Floating-point operations of the bridge for one image (a multiply-add counts as two)."""
    bridge.eval()
    with FlopCounterMode(display=False) as counter:
        bridge(one_image)
    return float(counter.get_total_flops())


def timed(run: Callable[[], Result], device: str) -> tuple[Result, float]:
    """(what `run` returns, its milliseconds): a GPU has finished what came before it, and has finished it."""
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    result = run()
    if on_gpu:
        torch.cuda.synchronize(device)
    return result, (time.perf_counter() - started) * 1e3
