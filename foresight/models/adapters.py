"""Adapters: encoder features in, conditioning tokens out, each as large as it is asked to be (C2, protocols section 8).

Axes: B batch, V VLM tokens, S spatial tokens, N both together, Q queries (conditioning tokens), L latents, D width,
K compressed channels, C channels.

All five read both streams with places and padding masks and keep tokens. The originals had neither places nor masks, and
their bottleneck pooled each stream into one vector. The docstrings give the originals' parameter counts for width h,
layers n, stream channels V and D, conditioning channels O and Q queries; ours are counted, see `foresight.models.budget`.
"""

import torch
from torch import Tensor, nn

from foresight.config import AdapterConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.models.adapter_layers import AdapterSize, Mixture, Reader, join_streams
from foresight.models.attention import CrossAttentionBlock, FeedForwardBlock
from foresight.models.fusion import Queries, Streams, read_at_places
from foresight.models.position import LocalityBias, bilinear_weights


class QueryAdapter(nn.Module):
    """Learned queries read both streams in transformer decoder layers.

    Original: h (V + D + O + Q + 2) + O + n (16 h^2 + 19 h), post-norm.
    """

    def __init__(self, config: AdapterConfig, size: AdapterSize, shapes: FeatureShapes):
        super().__init__()
        self.streams = Streams(size.width, shapes)
        self.reader = Reader(config.queries, config.layers, size, config.dropout, self.streams, FeedForwardBlock)

    def forward(
        self, vlm_BVC: Tensor, vlm_valid_BV: Tensor | None, spatial_BSC: Tensor, spatial_valid_BS: Tensor | None
    ) -> Tensor:
        vlm_BVD, spatial_BSD = self.streams(vlm_BVC, spatial_BSC)
        return self.reader(*join_streams(vlm_BVD, vlm_valid_BV, spatial_BSD, spatial_valid_BS))


class Compressor(nn.Module):
    """Each token of a stream through a narrow passage: two layers of K channels."""

    def __init__(self, width: int, narrow: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, narrow), nn.LayerNorm(narrow), nn.GELU(), nn.Linear(narrow, narrow)
        )

    def forward(self, tokens_BND: Tensor) -> Tensor:
        """[B, N, K]"""
        return self.layers(tokens_BND)


class BottleneckAdapter(nn.Module):
    """Every token is compressed to half its width, read at the queries' places, and fused there; no attention.

    Original, with b compressed channels: 80 h^2 + h (V + D + 2 O + 91) + 4 h b + 2 b + O. It pooled each stream into one
    vector before compressing it, and a linear layer made all Q tokens of that; most of its parameters lay there.
    """

    def __init__(self, config: AdapterConfig, size: AdapterSize, shapes: FeatureShapes):
        super().__init__()
        width, narrow = size.width, size.width // 2
        self.streams = Streams(width, shapes)
        self.compress_vlm = Compressor(width, narrow)
        self.compress_spatial = Compressor(width, narrow)
        self.queries = Queries(config.queries, width)
        vlm_QV = bilinear_weights(self.queries.xy, shapes.vlm_grid, shapes.vlm_grid)
        spatial_QS = bilinear_weights(self.queries.xy, shapes.spatial_grid, shapes.spatial_grid)
        self.register_buffer("vlm_QV", vlm_QV, persistent=False)
        self.register_buffer("spatial_QS", spatial_QS, persistent=False)
        self.fuse = nn.Linear(2 * narrow, width)
        self.blocks = nn.ModuleList(FeedForwardBlock(width, config.dropout, size.hidden) for _ in range(config.layers))

    def forward(
        self, vlm_BVC: Tensor, vlm_valid_BV: Tensor | None, spatial_BSC: Tensor, spatial_valid_BS: Tensor | None
    ) -> Tensor:
        vlm_BVD, spatial_BSD = self.streams(vlm_BVC, spatial_BSC)
        vlm_BQK = read_at_places(self.compress_vlm(vlm_BVD), self.vlm_QV, vlm_valid_BV)
        spatial_BQK = read_at_places(self.compress_spatial(spatial_BSD), self.spatial_QS, spatial_valid_BS)
        tokens_BQD = self.queries(len(vlm_BVC)) + self.fuse(torch.cat([vlm_BQK, spatial_BQK], dim=-1))
        for block in self.blocks:
            tokens_BQD = block(tokens_BQD)
        return tokens_BQD


class LoraAdapter(nn.Module):
    """The query adapter with every map of the streams and the attention a bias-free pair, down to a quarter and up.

    After LoRA (Hu et al. 2021), without a frozen map to add to. Original, of rank r: r (V + D + Q + O) + O +
    n (16 r^2 + 19 r) used, and 2 r O + 8 r^2 + 8 r declared and never reached; its up-projections were among the latter.
    """

    def __init__(self, config: AdapterConfig, size: AdapterSize, shapes: FeatureShapes):
        super().__init__()
        self.streams = Streams(size.width, shapes, size.rank)
        self.reader = Reader(
            config.queries, config.layers, size, config.dropout, self.streams, FeedForwardBlock, size.rank
        )

    def forward(
        self, vlm_BVC: Tensor, vlm_valid_BV: Tensor | None, spatial_BSC: Tensor, spatial_valid_BS: Tensor | None
    ) -> Tensor:
        vlm_BVD, spatial_BSD = self.streams(vlm_BVC, spatial_BSC)
        return self.reader(*join_streams(vlm_BVD, vlm_valid_BV, spatial_BSD, spatial_valid_BS))


class PerceiverAdapter(nn.Module):
    """Half as many latents as queries read both streams anew in every round, and the queries read the latents out.

    After Perceiver IO (Jaegle et al. 2021). Original: the query adapter's formula with n rounds, as its latents were its
    queries and each round a cross-attention, a self-attention and a feed-forward.
    """

    def __init__(self, config: AdapterConfig, size: AdapterSize, shapes: FeatureShapes):
        super().__init__()
        self.streams = Streams(size.width, shapes)
        n_latents = max(1, config.queries // 2)
        self.latents = Reader(n_latents, config.layers, size, config.dropout, self.streams, FeedForwardBlock)
        self.queries = Queries(config.queries, size.width)
        self.latents_norm = nn.LayerNorm(size.width)
        self.read_out = CrossAttentionBlock(size.width, size.n_heads, config.dropout)
        self.read_out_bias = LocalityBias(size.n_heads, self.queries.xy, self.latents.queries.xy)

    def forward(
        self, vlm_BVC: Tensor, vlm_valid_BV: Tensor | None, spatial_BSC: Tensor, spatial_valid_BS: Tensor | None
    ) -> Tensor:
        vlm_BVD, spatial_BSD = self.streams(vlm_BVC, spatial_BSC)
        latents_BLD = self.latents(*join_streams(vlm_BVD, vlm_valid_BV, spatial_BSD, spatial_valid_BS))
        return self.read_out(self.queries(len(vlm_BVC)), self.latents_norm(latents_BLD), self.read_out_bias())


class MoeAdapter(nn.Module):
    """The query adapter with a mixture of four experts in place of each feed-forward. The original had no such adapter."""

    def __init__(self, config: AdapterConfig, size: AdapterSize, shapes: FeatureShapes):
        super().__init__()
        self.streams = Streams(size.width, shapes)
        self.reader = Reader(config.queries, config.layers, size, config.dropout, self.streams, Mixture)

    def forward(
        self, vlm_BVC: Tensor, vlm_valid_BV: Tensor | None, spatial_BSC: Tensor, spatial_valid_BS: Tensor | None
    ) -> Tensor:
        vlm_BVD, spatial_BSD = self.streams(vlm_BVC, spatial_BSC)
        return self.reader(*join_streams(vlm_BVD, vlm_valid_BV, spatial_BSD, spatial_valid_BS))


ADAPTERS: dict[str, type[nn.Module]] = {
    "query": QueryAdapter,
    "bottleneck": BottleneckAdapter,
    "lora": LoraAdapter,
    "perceiver": PerceiverAdapter,
    "moe": MoeAdapter,
}


class Adapter(nn.Module):
    """An architecture and the head that makes conditioning tokens of its output: all that an adapter's budget pays for."""

    def __init__(self, config: AdapterConfig, size: AdapterSize, shapes: FeatureShapes):
        super().__init__()
        self.body = ADAPTERS[config.architecture](config, size, shapes)
        self.norm = nn.LayerNorm(size.width)
        self.head = nn.Linear(size.width, config.conditioning_dim)

    def forward(
        self, vlm_BVC: Tensor, vlm_valid_BV: Tensor | None, spatial_BSC: Tensor, spatial_valid_BS: Tensor | None
    ) -> Tensor:
        """[B, Q, conditioning_dim]: the conditioning tokens."""
        return self.head(self.norm(self.body(vlm_BVC, vlm_valid_BV, spatial_BSC, spatial_valid_BS)))
