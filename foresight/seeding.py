"""Keyed randomness: a generator for each (seed, purpose), so that drawing more of one thing never shifts another."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def keyed_seed(seed: int, *key: str) -> int:
    """A 63-bit seed from a number and the names of what it is for."""
    text = "/".join([str(seed), *key])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seeded_generator(seed: int, *key: str) -> torch.Generator:
    """A CPU generator for one purpose: `seeded_generator(3, "order", "epoch 2")`."""
    import torch  # here and not above: analysis draws from keyed seeds, and starts without torch

    return torch.Generator().manual_seed(keyed_seed(seed, *key))
