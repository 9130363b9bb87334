"""A trained bridge with a detection head on its conditioning tokens; the bridge stays as it is.

Axes: B batch, Q conditioning tokens, C channels.
"""

from typing import Self

import torch
from torch import Tensor, nn

from foresight.config import DetectorConfig
from foresight.models.bridge import Bridge, Features
from foresight.models.denoising import NoisedQueries
from foresight.models.detr import Detections, Detr, PlacedTokens
from foresight.models.position import grid_centres, most_square_grid


class TokenDetector(nn.Module):
    """Finds objects in what a video decoder would be given, so that its score is one of the bridge."""

    def __init__(self, bridge: Bridge, conditioning_dim: int, n_tokens: int, config: DetectorConfig, n_classes: int):
        super().__init__()
        self.bridge = bridge.requires_grad_(False)
        self.head = Detr(config, [conditioning_dim], n_classes)
        # The places at which the pixel decoder takes the tokens to lie.
        self.register_buffer("token_xy", grid_centres(*most_square_grid(n_tokens)), persistent=False)

    def forward(self, features: Features, noised: NoisedQueries | None = None) -> Detections:
        """What every layer of the head predicts; see `Detr`."""
        with torch.no_grad():
            tokens_BQC = self.bridge.condition(features)
        return self.detect(tokens_BQC, noised)

    def detect(self, tokens_BQC: Tensor, noised: NoisedQueries | None = None) -> Detections:
        return self.head([PlacedTokens(tokens_BQC, self.token_xy)], noised)

    def train(self, mode: bool = True) -> Self:
        """As usual, but the bridge never drops anything: what is trained on are the tokens that are measured."""
        super().train(mode)
        self.bridge.eval()
        return self
