"""Small bridges and random features for them."""

import torch

from foresight.config import TrialConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.models.bridge import Bridge, Features, build_bridge

SHAPES = FeatureShapes(vlm_dim=12, vlm_grid=4, spatial_dim=10, spatial_grid=8)
SMALL = {"fusion.layers": 2, "fusion.queries": 16, "fusion.conditioning_dim": 16}


def trial(strategy: str = "cross_attention", **fields) -> TrialConfig:
    """A trial with a small fusion; `vlm_weight=0.3` is its field `fusion.vlm_weight`."""
    changes = {f"fusion.{name}": value for name, value in fields.items()}
    return TrialConfig().with_fields({**SMALL, "fusion.strategy": strategy, **changes})


def bridge(strategy: str = "cross_attention", seed: int = 0, **fields) -> Bridge:
    return build_bridge(trial(strategy, **fields).with_fields({"seed": seed}), SHAPES).eval()


def features(n: int = 2, seed: int = 0) -> Features:
    """Standard normal tokens without padding."""
    generator = torch.Generator().manual_seed(seed)
    vlm = torch.randn(n, SHAPES.vlm_grid**2, SHAPES.vlm_dim, generator=generator)
    spatial = torch.randn(n, SHAPES.spatial_grid**2, SHAPES.spatial_dim, generator=generator)
    return Features(vlm, None, spatial, None)


def cell(row: int, column: int, grid: int) -> torch.Tensor:
    """Which tokens of a grid lie in one cell of a 4 x 4 division of the picture: bool [grid * grid]."""
    step = grid // 4
    inside = torch.zeros(grid, grid, dtype=torch.bool)
    inside[step * row : step * (row + 1), step * column : step * (column + 1)] = True
    return inside.flatten()
