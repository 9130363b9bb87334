"""Attention over tokens with places and padding, and the blocks made of it.

Axes: B batch, Q queries, N tokens attended to, D width, H heads.
"""

import torch.nn.functional as F
from torch import Tensor, nn


def low_rank(from_dim: int, rank: int, to_dim: int) -> nn.Sequential:
    """A bias-free map of at most `rank`: down, then up (LoRA, Hu et al. 2021, without the frozen map it is added to)."""
    return nn.Sequential(nn.Linear(from_dim, rank, bias=False), nn.Linear(rank, to_dim, bias=False))


class Attention(nn.Module):
    """Multi-head attention with an additive bias per head and a padding mask. Pre-norm is the caller's.

    With a `rank`, all four projections are low-rank and bias-free. `out_width` is `width` unless it is given.
    """

    def __init__(self, width: int, n_heads: int, rank: int | None = None, out_width: int | None = None):
        super().__init__()
        self.n_heads = n_heads
        # No key bias: softmax is blind to it, so its gradient is rounding noise that Adam would amplify.
        self.query, self.key, self.value = (
            low_rank(width, rank, width) if rank else nn.Linear(width, width, bias=False) for _ in range(3)
        )
        to_width = out_width or width
        self.out = low_rank(width, rank, to_width) if rank else nn.Linear(width, to_width)

    def forward(
        self,
        queries_BQD: Tensor,
        tokens_BND: Tensor,
        bias_HQN: Tensor | None = None,
        valid_BN: Tensor | None = None,
        keys_BND: Tensor | None = None,
    ) -> Tensor:
        """[B, Q, out_width]. Tokens that are not valid get no attention; each image needs a valid one. None: all are.

        `keys_BND` is what the queries compare themselves with, where that is not what they read.
        """
        weights_BHQN = self.weights(queries_BQD, tokens_BND if keys_BND is None else keys_BND, bias_HQN, valid_BN)
        values_BHND = self._heads(self.value(tokens_BND))
        return self.out((weights_BHQN @ values_BHND).transpose(1, 2).flatten(2))

    def weights(
        self,
        queries_BQD: Tensor,
        keys_BND: Tensor,
        bias_HQN: Tensor | None = None,
        valid_BN: Tensor | None = None,
    ) -> Tensor:
        """[B, H, Q, N]: how much each head of each query attends to each token; over the tokens they sum to 1."""
        q, k = self._heads(self.query(queries_BQD)), self._heads(self.key(keys_BND))
        # Written out: with a learned bias and a few hundred tokens, the fused kernels fall back to a slower form of this.
        scores_BHQN = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        if bias_HQN is not None:
            scores_BHQN = scores_BHQN + bias_HQN
        if valid_BN is not None:
            scores_BHQN = scores_BHQN.masked_fill(~valid_BN[:, None, None], float("-inf"))
        return scores_BHQN.softmax(dim=-1)

    def _heads(self, tokens_BND: Tensor) -> Tensor:
        """[B, H, N, D / H]"""
        return tokens_BND.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Two-layer perceptron with `hidden` channels between, four times D unless told."""

    def __init__(self, width: int, hidden: int | None = None):
        super().__init__()
        hidden = hidden or 4 * width
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, tokens_BND: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(tokens_BND)))


class FeedForwardBlock(nn.Module):
    """Pre-norm residual feed-forward."""

    def __init__(self, width: int, dropout: float, hidden: int | None = None):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens_BND: Tensor) -> Tensor:
        return tokens_BND + self.dropout(self.feed_forward(self.norm(tokens_BND)))


class SelfAttentionBlock(nn.Module):
    """Pre-norm residual self-attention followed by a feed-forward."""

    def __init__(self, width: int, n_heads: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, n_heads)
        self.dropout = nn.Dropout(dropout)
        self.feed_forward = FeedForwardBlock(width, dropout)

    def forward(self, tokens_BND: Tensor) -> Tensor:
        normed = self.norm(tokens_BND)
        return self.feed_forward(tokens_BND + self.dropout(self.attention(normed, normed)))


class CrossAttentionBlock(nn.Module):
    """Pre-norm residual cross-attention followed by a feed-forward."""

    def __init__(self, width: int, n_heads: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, n_heads)
        self.dropout = nn.Dropout(dropout)
        self.feed_forward = FeedForwardBlock(width, dropout)

    def forward(
        self,
        queries_BQD: Tensor,
        tokens_BND: Tensor,
        bias_HQN: Tensor | None = None,
        valid_BN: Tensor | None = None,
    ) -> Tensor:
        read = self.attention(self.norm(queries_BQD), tokens_BND, bias_HQN, valid_BN)
        return self.feed_forward(queries_BQD + self.dropout(read))
