"""Fusion: VLM tokens (what) and DINOv2 tokens (where) in, conditioning tokens on a grid of places out (E-P2.5).

Axes: B batch, V VLM tokens, S spatial tokens, Q queries (conditioning tokens), D width, C channels, H heads.

Three rules hold in every fusion, because the original study broke each of them:
- Tokens are kept. No stream is pooled into one vector, so queries and layers have something to do.
- Padding is masked: a letterboxed picture gives the same conditioning whatever its padding holds.
- Stream weights survive. A weight is a stream's share of the fusion's channels: both streams are projected to their share,
  brought to unit size and joined. A projection that follows can rescale what it gets, but cannot bring back channels
  that a stream never had. (A factor on the values, as in the original, is undone by the next learned scale.)
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foresight.config import FusionConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.models.attention import (
    Attention,
    CrossAttentionBlock,
    FeedForwardBlock,
    SelfAttentionBlock,
    low_rank,
)
from foresight.models.position import (
    LocalityBias,
    bilinear_weights,
    grid_centres,
    most_square_grid,
    sine_code,
)


def unit_size(tokens_BND: Tensor) -> Tensor:
    """Each token scaled to root mean square 1, without learned parameters."""
    return F.rms_norm(tokens_BND, (tokens_BND.shape[-1],), eps=1e-6)


def stream_widths(config: FusionConfig, streams: "Streams") -> tuple[int, int]:
    """Channels of the VLM stream and of the spatial stream: the weight's share of the width, at least one each.

    A stream that is read alone has them all.
    """
    if not (streams.vlm_grid and streams.spatial_grid):
        return (config.width, 0) if streams.vlm_grid else (0, config.width)
    vlm_width = min(max(1, round(config.vlm_weight * config.width)), config.width - 1)
    return vlm_width, config.width - vlm_width


def join_streams(*streams: Tensor) -> Tensor:
    """[B, N, D]: the streams at unit size, side by side on the channel axis; each has its share of D."""
    return torch.cat([unit_size(stream) for stream in streams], dim=-1)


def read_at_places(tokens_BND: Tensor, weights_QN: Tensor, valid_BN: Tensor | None) -> Tensor:
    """[B, Q, D] tokens read by fixed weights; padded tokens are left out and the rest renormalised."""
    if valid_BN is None:
        return weights_QN @ tokens_BND
    weights_BQN = weights_QN * valid_BN[:, None].to(weights_QN.dtype)
    total_BQ1 = weights_BQN.sum(dim=-1, keepdim=True)
    return (weights_BQN @ tokens_BND) / total_BQ1.clamp(min=1e-6)


class Streams(nn.Module):
    """Brings both streams to one width and tells every token where it is. With a `rank`, by low-rank bias-free maps.

    A stream that is not read (a grid of 0) has no parameters and no tokens.
    """

    def __init__(self, width: int, shapes: FeatureShapes, rank: int | None = None):
        super().__init__()
        vlm_grid, spatial_grid = shapes.vlm_grid, shapes.spatial_grid
        if vlm_grid:
            self.vlm = low_rank(shapes.vlm_dim, rank, width) if rank else nn.Linear(shapes.vlm_dim, width)
            self.vlm_norm = nn.LayerNorm(width)
        if spatial_grid:
            self.spatial = low_rank(shapes.spatial_dim, rank, width) if rank else nn.Linear(shapes.spatial_dim, width)
            self.spatial_norm = nn.LayerNorm(width)
        self.register_buffer("vlm_xy", grid_centres(vlm_grid, vlm_grid), persistent=False)
        self.register_buffer("spatial_xy", grid_centres(spatial_grid, spatial_grid), persistent=False)
        self.register_buffer("vlm_code", sine_code(self.vlm_xy, width), persistent=False)
        self.register_buffer("spatial_code", sine_code(self.spatial_xy, width), persistent=False)
        self.vlm_grid, self.spatial_grid, self.width = vlm_grid, spatial_grid, width

    def forward(self, vlm_BVC: Tensor, spatial_BSC: Tensor) -> tuple[Tensor, Tensor]:
        """([B, V, D], [B, S, D])"""
        no_tokens_B0D = vlm_BVC.new_zeros(len(vlm_BVC), 0, self.width)
        vlm_BVD = self.vlm_norm(self.vlm(vlm_BVC)) + self.vlm_code if self.vlm_grid else no_tokens_B0D
        spatial_BSD = (
            self.spatial_norm(self.spatial(spatial_BSC)) + self.spatial_code if self.spatial_grid else no_tokens_B0D
        )
        return vlm_BVD, spatial_BSD


class Queries(nn.Module):
    """The conditioning tokens before they have read anything: a place on the grid and a learned vector each."""

    def __init__(self, n_queries: int, width: int):
        super().__init__()
        self.register_buffer("xy", grid_centres(*most_square_grid(n_queries)), persistent=False)
        self.register_buffer("code", sine_code(self.xy, width), persistent=False)
        self.learned_QD = nn.Parameter(torch.zeros(n_queries, width))

    def forward(self, batch_size: int) -> Tensor:
        """[B, Q, D]"""
        return (self.code + self.learned_QD).expand(batch_size, -1, -1)


class StreamReader(nn.Module):
    """Queries read each stream by attention into its share of the channels; what they read is added."""

    def __init__(self, config: FusionConfig, streams: Streams, query_xy: Tensor):
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        vlm_width, spatial_width = stream_widths(config, streams)
        self.reads_vlm, self.reads_spatial = vlm_width > 0, spatial_width > 0
        if self.reads_vlm:
            self.read_vlm = Attention(config.width, config.n_heads, out_width=vlm_width)
            self.vlm_bias = LocalityBias(config.n_heads, query_xy, streams.vlm_xy)
        if self.reads_spatial:
            self.read_spatial = Attention(config.width, config.n_heads, out_width=spatial_width)
            self.spatial_bias = LocalityBias(config.n_heads, query_xy, streams.spatial_xy)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        queries_BQD: Tensor,
        vlm_BVD: Tensor,
        vlm_valid_BV: Tensor | None,
        spatial_BSD: Tensor,
        spatial_valid_BS: Tensor,
    ) -> Tensor:
        normed = self.norm(queries_BQD)
        shares = []
        if self.reads_vlm:
            shares.append(self.read_vlm(normed, vlm_BVD, self.vlm_bias(), vlm_valid_BV))
        if self.reads_spatial:
            shares.append(self.read_spatial(normed, spatial_BSD, self.spatial_bias(), spatial_valid_BS))
        return queries_BQD + self.dropout(join_streams(*shares))


class CrossAttentionFusion(nn.Module):
    """Every layer: queries attend to themselves, read both streams, and pass a feed-forward."""

    def __init__(self, config: FusionConfig, streams: Streams):
        super().__init__()
        self.queries = Queries(config.queries, config.width)
        self.readers = nn.ModuleList(StreamReader(config, streams, self.queries.xy) for _ in range(config.layers))
        self.blocks = nn.ModuleList(
            SelfAttentionBlock(config.width, config.n_heads, config.dropout) for _ in range(config.layers)
        )

    def forward(
        self, vlm_BVD: Tensor, vlm_valid_BV: Tensor | None, spatial_BSD: Tensor, spatial_valid_BS: Tensor | None
    ) -> Tensor:
        queries_BQD = self.queries(len(vlm_BVD))
        for reader, block in zip(self.readers, self.blocks, strict=True):
            queries_BQD = block(reader(queries_BQD, vlm_BVD, vlm_valid_BV, spatial_BSD, spatial_valid_BS))
        return queries_BQD


class ConcatFusion(nn.Module):
    """Both streams are read at each query's place and joined channel by channel, then a stack of feed-forwards."""

    def __init__(self, config: FusionConfig, streams: Streams):
        super().__init__()
        self.queries = Queries(config.queries, config.width)
        vlm_QV = bilinear_weights(self.queries.xy, streams.vlm_grid, streams.vlm_grid)
        spatial_QS = bilinear_weights(self.queries.xy, streams.spatial_grid, streams.spatial_grid)
        self.register_buffer("vlm_QV", vlm_QV, persistent=False)
        self.register_buffer("spatial_QS", spatial_QS, persistent=False)
        vlm_width, spatial_width = stream_widths(config, streams)
        self.to_vlm_share = nn.Linear(config.width, vlm_width)
        self.to_spatial_share = nn.Linear(config.width, spatial_width)
        self.blocks = nn.ModuleList(FeedForwardBlock(config.width, config.dropout) for _ in range(config.layers))

    def forward(
        self, vlm_BVD: Tensor, vlm_valid_BV: Tensor | None, spatial_BSD: Tensor, spatial_valid_BS: Tensor | None
    ) -> Tensor:
        vlm_BQV = self.to_vlm_share(read_at_places(vlm_BVD, self.vlm_QV, vlm_valid_BV))
        spatial_BQS = self.to_spatial_share(read_at_places(spatial_BSD, self.spatial_QS, spatial_valid_BS))
        tokens_BQD = self.queries(len(vlm_BVD)) + join_streams(vlm_BQV, spatial_BQS)
        for block in self.blocks:
            tokens_BQD = block(tokens_BQD)
        return tokens_BQD


class FilmFusion(nn.Module):
    """Every layer: the VLM token at a spatial token's place scales and shifts it (FiLM, Perez et al. 2018, per place).

    Queries then read tokens whose VLM share of channels comes from the modulated token and the rest from the plain one.
    """

    def __init__(self, config: FusionConfig, streams: Streams):
        super().__init__()
        self.queries = Queries(config.queries, config.width)
        vlm_SV = bilinear_weights(streams.spatial_xy, streams.vlm_grid, streams.vlm_grid)
        self.register_buffer("vlm_SV", vlm_SV, persistent=False)
        vlm_width, spatial_width = stream_widths(config, streams)
        self.modulations = nn.ModuleList(nn.Linear(config.width, 2 * config.width) for _ in range(config.layers))
        self.to_vlm_share = nn.ModuleList(nn.Linear(config.width, vlm_width) for _ in range(config.layers))
        self.to_spatial_share = nn.ModuleList(nn.Linear(config.width, spatial_width) for _ in range(config.layers))
        self.blocks = nn.ModuleList(
            CrossAttentionBlock(config.width, config.n_heads, config.dropout) for _ in range(config.layers)
        )
        self.bias = LocalityBias(config.n_heads, self.queries.xy, streams.spatial_xy)

    def forward(
        self, vlm_BVD: Tensor, vlm_valid_BV: Tensor | None, spatial_BSD: Tensor, spatial_valid_BS: Tensor | None
    ) -> Tensor:
        queries_BQD = self.queries(len(vlm_BVD))
        vlm_BSD = read_at_places(vlm_BVD, self.vlm_SV, vlm_valid_BV)
        bias_HQS = self.bias()
        layers = zip(self.modulations, self.to_vlm_share, self.to_spatial_share, self.blocks, strict=True)
        for modulation, to_vlm_share, to_spatial_share, block in layers:
            scale_BSD, shift_BSD = modulation(vlm_BSD).chunk(2, dim=-1)
            modulated_BSD = unit_size(spatial_BSD) * (1 + scale_BSD) + shift_BSD
            memory_BSD = join_streams(to_vlm_share(modulated_BSD), to_spatial_share(spatial_BSD))
            queries_BQD = block(queries_BQD, memory_BSD, bias_HQS, spatial_valid_BS)
        return queries_BQD


class PerceiverFusion(nn.Module):
    """Half as many latents as queries read both streams once, think in `layers` blocks, and are read out by the queries.

    After Perceiver IO (Jaegle et al. 2021): the cost of a layer does not grow with the streams.
    """

    def __init__(self, config: FusionConfig, streams: Streams):
        super().__init__()
        self.latents = Queries(max(1, config.queries // 2), config.width)
        self.queries = Queries(config.queries, config.width)
        self.reader = StreamReader(config, streams, self.latents.xy)
        self.blocks = nn.ModuleList(
            SelfAttentionBlock(config.width, config.n_heads, config.dropout) for _ in range(config.layers)
        )
        self.read_out = CrossAttentionBlock(config.width, config.n_heads, config.dropout)
        self.read_out_norm = nn.LayerNorm(config.width)
        self.read_out_bias = LocalityBias(config.n_heads, self.queries.xy, self.latents.xy)

    def forward(
        self, vlm_BVD: Tensor, vlm_valid_BV: Tensor | None, spatial_BSD: Tensor, spatial_valid_BS: Tensor | None
    ) -> Tensor:
        latents_BLD = self.latents(len(vlm_BVD))
        latents_BLD = self.reader(latents_BLD, vlm_BVD, vlm_valid_BV, spatial_BSD, spatial_valid_BS)
        for block in self.blocks:
            latents_BLD = block(latents_BLD)
        return self.read_out(self.queries(len(vlm_BVD)), self.read_out_norm(latents_BLD), self.read_out_bias())


FUSIONS: dict[str, type[nn.Module]] = {
    "cross_attention": CrossAttentionFusion,
    "concat": ConcatFusion,
    "film": FilmFusion,
    "perceiver": PerceiverFusion,
}
