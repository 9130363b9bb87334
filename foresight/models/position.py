"""Where a token is in the picture: square-ish grids, their sine code, and a bias that lets attention look nearby.

All coordinates are (x, y) of cell centres in [0, 1], so that the tokens of a 4 x 4 VLM grid, a 16 x 16 DINOv2 grid and
an 8 x 16 query grid speak of the same places.
"""

import math

import torch
from torch import Tensor, nn

# Wavelengths from two picture sides (left differs from right) to a sixteenth (neighbouring DINOv2 patches differ).
MIN_CYCLES, MAX_CYCLES = 0.5, 16.0


def most_square_grid(n: int) -> tuple[int, int]:
    """(rows, columns) of the most square grid of exactly `n` cells, at least as wide as high: 32 gives (4, 8)."""
    rows = max(r for r in range(1, math.isqrt(n) + 1) if n % r == 0)
    return rows, n // rows


def grid_centres(rows: int, columns: int) -> Tensor:
    """[rows * columns, 2] centres (x, y) in [0, 1], raster order."""
    y, x = torch.meshgrid((torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=-1)


def sine_code(xy_N2: Tensor, width: int) -> Tensor:
    """[N, width] sine and cosine of x and y at log-spaced frequencies, 2 pi times 0.5 to 16 cycles a picture side.

    Of places with more axes, [B, N, 2], as many are kept.
    """
    n_frequencies = width // 4
    cycles = MIN_CYCLES * (MAX_CYCLES / MIN_CYCLES) ** torch.linspace(0, 1, n_frequencies, device=xy_N2.device)
    phase_N2F = 2 * math.pi * xy_N2[..., None] * cycles
    return torch.cat([phase_N2F.sin(), phase_N2F.cos()], dim=-1).flatten(-2)


def bilinear_weights(to_xy_Q2: Tensor, rows: int, columns: int) -> Tensor:
    """[Q, rows * columns] weights that read a token grid at given places; every row sums to 1."""
    from_xy_N2 = grid_centres(rows, columns)
    cells = torch.tensor([columns, rows], dtype=torch.float32)
    low, high = 0.5 / cells, 1 - 0.5 / cells  # outside the outer centres, take the outermost token
    distance_QN2 = (to_xy_Q2.clamp(low, high)[:, None] - from_xy_N2[None]).abs() * cells
    weights_QN = (1 - distance_QN2).clamp(min=0).prod(dim=-1)
    return weights_QN / weights_QN.sum(dim=-1, keepdim=True)


def start_log_slopes(n_heads: int) -> Tensor:
    """[H] logs of the slopes that locality starts from: half-widths from a fifth to a twentieth of the picture.

    Starting from a whole side, the perceiver learnt nothing in 128 steps (mask IoU .00 against .67) and eight layers were
    unstable.
    """
    return torch.linspace(math.log(30.0), math.log(500.0), n_heads)


class LocalityBias(nn.Module):
    """Per-head attention bias `-slope * squared distance`, with learned slopes that start from wide to narrow.

    Without it a small model spends most of its training on finding out which token lies where.
    """

    def __init__(self, n_heads: int, to_xy_Q2: Tensor, from_xy_N2: Tensor):
        super().__init__()
        squared_QN = (to_xy_Q2[:, None] - from_xy_N2[None]).square().sum(dim=-1)
        self.register_buffer("squared_QN", squared_QN, persistent=False)
        self.log_slope_H = nn.Parameter(start_log_slopes(n_heads))

    def forward(self) -> Tensor:
        """[H, Q, N], added to the attention scores."""
        return -self.log_slope_H.exp()[:, None, None] * self.squared_QN
