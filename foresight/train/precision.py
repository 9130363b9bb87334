"""Half-precision forward passes where the config asks for them."""

from contextlib import AbstractContextManager, nullcontext

import torch


def autocast(device: str, precision: str) -> AbstractContextManager[object]:
    """bf16 autocast on the device for `bf16`, nothing for `fp32`."""
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()
