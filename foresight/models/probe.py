"""The spatial probe of E-P2.1: where is the object, read off the tokens of one encoder by one learned query.

Axes: B batch, N tokens, C channels of the encoder, D width of the probe.

In the original the attention ran at the encoder's own width, so a wider encoder had a larger probe: 4 C^2 weights of
attention, 4.2 M at 1024 channels and 51 M at 3584. Here every stream is projected to one width first, and two probes
differ in nothing but that projection's C D weights.
"""

import torch
from torch import Tensor, nn

from foresight.config import ProbeConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.models.attention import Attention
from foresight.models.bridge import Features
from foresight.models.position import grid_centres, sine_code


class Probe(nn.Module):
    """Projection, 2-D position code, attention of one query over all tokens, and a perceptron with two hidden layers.

    Reads the one stream that `shapes` has a grid for.
    """

    def __init__(self, config: ProbeConfig, shapes: FeatureShapes):
        super().__init__()
        self.reads_vlm = shapes.vlm_grid > 0
        dim = shapes.vlm_dim if self.reads_vlm else shapes.spatial_dim
        grid = shapes.vlm_grid if self.reads_vlm else shapes.spatial_grid
        self.project = nn.Linear(dim, config.hidden)
        self.register_buffer("position_ND", sine_code(grid_centres(grid, grid), config.hidden), persistent=False)
        self.learned_query_1D = nn.Parameter(torch.zeros(1, config.hidden))
        self.attention = Attention(config.hidden, config.heads)
        self.head = nn.Sequential(
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, 4),
        )

    def forward(self, features: Features) -> Tensor:
        """[B, 4] box `cxcywh`, normalised. Tokens in letterbox padding are not looked at."""
        tokens_BNC = features.vlm_BVC if self.reads_vlm else features.spatial_BSC
        valid_BN = features.vlm_valid_BV if self.reads_vlm else features.spatial_valid_BS
        tokens_BND = self.project(tokens_BNC) + self.position_ND
        # A copy: the counter of operations cannot follow a view of a parameter.
        query_B1D = self.learned_query_1D.repeat(len(tokens_BND), 1, 1)
        return self.head(self.attention(query_B1D, tokens_BND, None, valid_BN)[:, 0]).sigmoid()
