"""The decoders. The trained one is small: a grid of places reads the tokens by cross-attention and grows into a picture.

It stands in for LTX-Video. The original averaged the conditioning tokens first, so that layout had to pass through one
vector and every ablation tied; here each place looks for its own tokens.
Axes: B batch, Q conditioning tokens, G grid side, D width, T target side in pixels.
"""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from foresight.config import DecoderConfig
from foresight.models.attention import CrossAttentionBlock
from foresight.models.ltx import LtxDecoder
from foresight.models.position import LocalityBias, grid_centres, most_square_grid, sine_code


class PixelDecoder(nn.Module):
    """Conditioning tokens to a picture and an object mask."""

    def __init__(self, config: DecoderConfig, conditioning_dim: int, n_queries: int, target_px: int):
        super().__init__()
        places_xy = grid_centres(config.grid, config.grid)
        query_xy = grid_centres(*most_square_grid(n_queries))
        self.grid = config.grid
        self.register_buffer("code", sine_code(places_xy, config.width), persistent=False)
        self.project = nn.Linear(conditioning_dim, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.bias = LocalityBias(config.heads, places_xy, query_xy)
        self.read = CrossAttentionBlock(config.width, config.heads, dropout=0.0)
        stages, width = [], config.width
        for _ in range(int(math.log2(target_px / config.grid))):
            narrower = max(16, width // 2)
            stages += [nn.Conv2d(width, 4 * narrower, 3, padding=1), nn.PixelShuffle(2), nn.GELU()]
            width = narrower
        self.grow = nn.Sequential(*stages)
        self.to_pixels = nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, conditioning_BQC: Tensor) -> tuple[Tensor, Tensor]:
        """(picture [B, 3, T, T] in [0, 1], mask logits [B, T, T])"""
        tokens_BQD = self.norm(self.project(conditioning_BQC))
        places_BGD = self.read(self.code.expand(len(tokens_BQD), -1, -1), tokens_BQD, self.bias())
        maps = places_BGD.transpose(1, 2).unflatten(-1, (self.grid, self.grid))
        pixels_B4TT = self.to_pixels(self.grow(maps))
        return F.sigmoid(pixels_B4TT[:, :3]), pixels_B4TT[:, 3]


DECODERS: dict[str, type[nn.Module]] = {"pixel": PixelDecoder, "ltx": LtxDecoder}
