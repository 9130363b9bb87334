"""Encoder tokens brought to a common size: per channel mean 0 and variance 1 over the training split.

Layers of a VLM differ in scale by orders of magnitude; without this, training is slower than the comparison is worth.
Axes: N images, T tokens, C channels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from foresight.data import valid_tokens

CHUNK = 256  # images at a time, so that staging needs little more than what it keeps


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of each channel of an encoder's tokens."""

    mean_C: Tensor
    std_C: Tensor


@dataclass
class Tokens:
    """An encoder's tokens of some images, half precision, and which of them show the picture."""

    tokens_NTC: Tensor
    valid_NT: Tensor

    def __getitem__(self, rows: slice) -> "Tokens":
        return Tokens(self.tokens_NTC[rows], self.valid_NT[rows])


def load_tokens(stored: np.ndarray, content_xyxy: np.ndarray, device: str) -> Tokens:
    """Tokens as they are in the store, on the device."""
    tokens = torch.from_numpy(np.array(stored)).to(device)
    grid = round(tokens.shape[1] ** 0.5)
    return Tokens(tokens, torch.from_numpy(valid_tokens(np.array(content_xyxy), grid)).to(device))


def compute_moments(train: Tokens) -> Moments:
    """Over the valid tokens."""
    count, total, squares = 0, 0.0, 0.0
    for start in range(0, len(train.tokens_NTC), CHUNK):
        rows = slice(start, start + CHUNK)
        chunk = train.tokens_NTC[rows][train.valid_NT[rows]].double()
        count, total, squares = count + len(chunk), total + chunk.sum(dim=0), squares + chunk.square().sum(dim=0)
    mean = torch.as_tensor(total / count)
    return Moments(mean, (squares / count - mean.square()).clamp(min=1e-12).sqrt())


def standardise(tokens: Tokens, moments: Moments) -> tuple[Tensor, Tensor | None]:
    """The tokens with those moments taken out, in place, and which are valid; None: all of them.

    No mask spares attention the work.
    """
    for start in range(0, len(tokens.tokens_NTC), CHUNK):
        rows = slice(start, start + CHUNK)
        standard = (tokens.tokens_NTC[rows] - moments.mean_C) / moments.std_C
        tokens.tokens_NTC[rows] = standard.to(tokens.tokens_NTC.dtype)
    return tokens.tokens_NTC, None if bool(tokens.valid_NT.all()) else tokens.valid_NT
