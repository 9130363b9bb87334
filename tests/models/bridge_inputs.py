"""Small bridges and random features for them."""

import torch

from foresight.config import TrialConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.models.bridge import Bridge, Features, build_bridge
from foresight.models.position import grid_centres

SHAPES = FeatureShapes(vlm_dim=12, vlm_grid=4, spatial_dim=10, spatial_grid=8)
SMALL = {"fusion.layers": 2, "fusion.queries": 16, "fusion.conditioning_dim": 16}
SMALL_ADAPTER = {
    "bridge": "adapter", "adapter.budget_params": 30_000, "adapter.queries": 16, "adapter.conditioning_dim": 16,
}  # fmt: skip


def trial(strategy: str = "cross_attention", **fields) -> TrialConfig:
    """A trial with a small fusion; `vlm_weight=0.3` is its field `fusion.vlm_weight`."""
    changes = {f"fusion.{name}": value for name, value in fields.items()}
    return TrialConfig().with_fields({**SMALL, "fusion.strategy": strategy, **changes})


def bridge(strategy: str = "cross_attention", seed: int = 0, **fields) -> Bridge:
    return build_bridge(trial(strategy, **fields).with_fields({"seed": seed}), SHAPES).eval()


def adapter_trial(architecture: str = "query", **fields) -> TrialConfig:
    """A trial with a small adapter; `layers=3` is its field `adapter.layers`."""
    changes = {f"adapter.{name}": value for name, value in fields.items()}
    return TrialConfig().with_fields({**SMALL_ADAPTER, "adapter.architecture": architecture, **changes})


def adapter_bridge(architecture: str = "query", seed: int = 0, **fields) -> Bridge:
    return build_bridge(adapter_trial(architecture, **fields).with_fields({"seed": seed}), SHAPES).eval()


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


def half_valid(n: int, grid: int) -> torch.Tensor:
    """The first picture is letterboxed to its middle rows, the second to its middle columns, others are whole."""
    valid = torch.ones(n, grid, grid, dtype=torch.bool)
    valid[0, : grid // 4] = valid[0, -grid // 4 :] = False
    valid[1, :, : grid // 4] = valid[1, :, -grid // 4 :] = False
    return valid.flatten(1)


def centre_of_change(model: Bridge, stream: str, row: int, column: int) -> torch.Tensor:
    """(x, y) of where the 16 conditioning tokens move when a sixteenth of the picture changes in one stream."""
    other, changed = features(24, seed=5), features(24)
    plain = model.condition(features(24))
    tokens, others, grid = (
        (changed.vlm_BVC, other.vlm_BVC, 4) if stream == "vlm" else (changed.spatial_BSC, other.spatial_BSC, 8)
    )
    inside = cell(row, column, grid)
    tokens[:, inside] = others[:, inside]
    moved = (model.condition(changed) - plain).square().sum(dim=-1).mean(dim=0)
    return (moved[:, None] * grid_centres(4, 4)).sum(dim=0) / moved.sum()
