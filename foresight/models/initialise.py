"""Start values of weights, the same for the same name and seed whatever else a model holds."""

import torch
from torch import nn

from foresight.seeding import seeded_generator


@torch.no_grad()
def initialise(module: nn.Module, seed: int) -> None:
    """Draws weights from generators keyed by (seed, parameter name), so arms of a block share what they have in common.

    What is frozen keeps its weights, and so do parameters with a start value of their own (norm scales, locality slopes).
    Matrices and convolutions: normal with variance 1 / fan-in; biases 0. Learned query vectors: normal with sd 0.02.
    """
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        leaf = name.split(".")[-1]
        if leaf == "weight" and parameter.ndim >= 2:
            generator = seeded_generator(seed, "init", name)
            std = (parameter[0].numel()) ** -0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
        elif leaf.startswith("learned"):
            parameter.copy_(torch.randn(parameter.shape, generator=seeded_generator(seed, "init", name)) * 0.02)
        elif leaf == "bias":
            parameter.zero_()
