"""What adapters are made of: their two sizes, the joined streams, and layers in which queries read them.

Axes: B batch, V VLM tokens, S spatial tokens, N both together, Q queries, D width, E experts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from foresight.models.attention import Attention, FeedForward
from foresight.models.fusion import Queries, Streams
from foresight.models.position import LocalityBias

N_EXPERTS = 4
LEAST_HEADS = 4
CHANNELS_PER_HEAD = 64


@dataclass(frozen=True)
class AdapterSize:
    """Channels of an adapter's tokens, and of the hidden layer of each of its feed-forwards."""

    width: int
    hidden: int

    @property
    def n_heads(self) -> int:
        """About one head per 64 channels and at least 4: the largest such number that divides the width."""
        most = max(LEAST_HEADS, self.width // CHANNELS_PER_HEAD)
        return max(n for n in range(1, most + 1) if self.width % n == 0)

    @property
    def rank(self) -> int:
        """Channels of every low-rank map of `lora`."""
        return self.width // 4


def join_streams(
    vlm_BVD: Tensor, vlm_valid_BV: Tensor | None, spatial_BSD: Tensor, spatial_valid_BS: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """(tokens [B, N, D], valid [B, N] or None): the VLM's tokens, then the spatial ones."""
    tokens_BND = torch.cat([vlm_BVD, spatial_BSD], dim=1)
    if vlm_valid_BV is None and spatial_valid_BS is None:
        return tokens_BND, None
    valid = [
        torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device) if mask is None else mask
        for tokens, mask in ((vlm_BVD, vlm_valid_BV), (spatial_BSD, spatial_valid_BS))
    ]
    return tokens_BND, torch.cat(valid, dim=1)


class Mixture(nn.Module):
    """Pre-norm residual mixture: every token passes all experts, and a gate that reads the token weighs them.

    After Jacobs et al. 1991. Routing to the best few (Shazeer et al. 2017) would leave experts without a gradient on
    little data, and what no gradient reaches must not count towards a budget.
    """

    def __init__(self, width: int, dropout: float, hidden: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, N_EXPERTS)
        self.experts = nn.ModuleList(FeedForward(width, hidden) for _ in range(N_EXPERTS))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens_BND: Tensor) -> Tensor:
        normed_BND = self.norm(tokens_BND)
        gates_BNE = self.gate(normed_BND).softmax(dim=-1)
        outputs_BNDE = torch.stack([expert(normed_BND) for expert in self.experts], dim=-1)
        return tokens_BND + self.dropout((outputs_BNDE @ gates_BNE[..., None]).squeeze(-1))


class ReadingLayer(nn.Module):
    """Pre-norm: queries attend to each other, read both streams near their places, and pass a feed-forward."""

    def __init__(
        self, size: AdapterSize, dropout: float, bias: LocalityBias, feed_forward: nn.Module, rank: int | None
    ):
        super().__init__()
        self.self_norm = nn.LayerNorm(size.width)
        self.self_attention = Attention(size.width, size.n_heads, rank)
        self.read_norm = nn.LayerNorm(size.width)
        self.read = Attention(size.width, size.n_heads, rank)
        self.bias = bias
        self.feed_forward = feed_forward
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries_BQD: Tensor, tokens_BND: Tensor, valid_BN: Tensor | None) -> Tensor:
        normed = self.self_norm(queries_BQD)
        queries_BQD = queries_BQD + self.dropout(self.self_attention(normed, normed))
        read = self.read(self.read_norm(queries_BQD), tokens_BND, self.bias(), valid_BN)
        return self.feed_forward(queries_BQD + self.dropout(read))


class Reader(nn.Module):
    """`n_layers` reading layers over queries at places, each with a feed-forward of its own from `build_feed_forward`."""

    def __init__(
        self,
        n_queries: int,
        n_layers: int,
        size: AdapterSize,
        dropout: float,
        streams: Streams,
        build_feed_forward: Callable[[int, float, int], nn.Module],
        rank: int | None = None,
    ):
        super().__init__()
        self.queries = Queries(n_queries, size.width)
        tokens_xy = torch.cat([streams.vlm_xy, streams.spatial_xy])
        self.layers = nn.ModuleList(
            ReadingLayer(
                size,
                dropout,
                LocalityBias(size.n_heads, self.queries.xy, tokens_xy),
                build_feed_forward(size.width, dropout, size.hidden),
                rank,
            )
            for _ in range(n_layers)
        )

    def forward(self, tokens_BND: Tensor, valid_BN: Tensor | None) -> Tensor:
        """[B, Q, D]"""
        queries_BQD = self.queries(len(tokens_BND))
        for layer in self.layers:
            queries_BQD = layer(queries_BQD, tokens_BND, valid_BN)
        return queries_BQD
