"""Counting many models that are made of the same blocks: each distinct block is run once, on the meta device.

What a block costs follows from how it is built and from the shapes it is given, so a block that was counted before stands in
with its output's shape and one product of as many operations. Nothing is computed by formula: the first of each is run.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from foresight.config.part import Part

PLAIN = (int, float, str, type(None), Part)  # attributes that are fully told by what they equal


class Counted(NamedTuple):
    flops: int
    shape: torch.Size
    dtype: torch.dtype


_counted: dict[Any, Counted] = {}


def share_counts(model: nn.Module) -> None:
    """From now on the model's parts and its repeated layers run once for each distinct one of this process."""
    layers = [layer for stack in model.modules() if isinstance(stack, nn.ModuleList) for layer in stack]
    for block in {id(block): block for block in [*model.children(), *layers]}.values():
        signature = describe_block(block)
        if signature is not None and not isinstance(block, nn.ModuleList):
            block.forward = partial(_forward, signature, block.forward)


def describe_block(block: nn.Module) -> tuple[Any, ...] | None:
    """All that the operations of a block can depend on besides its input; None where that cannot be told."""
    described = []
    for name, module in block.named_modules():
        own = {key: value for key, value in vars(module).items() if not key.startswith("_") and key != "forward"}
        if not all(isinstance(value, PLAIN) or _is_plain_tuple(value) for value in own.values()):
            return None
        tensors = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        shapes = tuple((key, tensor.shape, tensor.dtype) for key, tensor in tensors)
        described.append((name, type(module), tuple(sorted(own.items())), shapes))
    return tuple(described)


def _is_plain_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, PLAIN) for item in value)


def _forward(signature: tuple[Any, ...], forward: Callable[..., Any], *given: Any) -> Any:
    if not all(value is None or isinstance(value, Tensor) for value in given):
        return forward(*given)
    key = signature, tuple(None if value is None else (value.shape, value.dtype) for value in given)
    known = _counted.get(key)
    if known is None:
        with FlopCounterMode(display=False) as counter:
            result = forward(*given)
        flops = counter.get_total_flops()
        if isinstance(result, Tensor) and flops % 2 == 0:
            _counted[key] = Counted(flops, result.shape, result.dtype)
        return result
    spend(known.flops)
    return torch.empty(known.shape, dtype=known.dtype, device="meta")


def spend(flops: int) -> None:
    """An even number of operations, which counters see: on the meta device a product of vectors takes neither time nor memory."""
    if flops:
        left, right = (torch.empty(shape, device="meta") for shape in ((1, flops // 2), (flops // 2, 1)))
        left @ right
