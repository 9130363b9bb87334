"""Counting with shared blocks gives what counting each model alone gives, for every kind of bridge there is."""

import pytest
import torch

from foresight.config import TrialConfig
from foresight.encoders.shapes import feature_shapes
from foresight.metrics.cost import compute_flops
from foresight.models.adapters import ADAPTERS
from foresight.models.bridge import Bridge, Features
from foresight.models.fusion import FUSIONS
from foresight.train import shared_counts
from foresight.train.shared_counts import share_counts

VARIANTS = [
    *(
        {"fusion.strategy": name, **more}
        for name in FUSIONS
        for more in ({}, {"fusion.layers": 2}, {"dinov2.size": "G"})
    ),
    *({"fusion.vlm_weight": 0.7, "fusion.queries": queries} for queries in (32, 64)),
    *({"bridge": "adapter", "adapter.architecture": name} for name in ADAPTERS),
]


def count(changes, *, shared):
    config = TrialConfig().with_fields(changes)
    shapes = feature_shapes(config)
    with torch.device("meta"):
        model = Bridge(config.conditioner, config.decoder, config.data.target_px, shapes)
        vlm = torch.empty(1, shapes.vlm_grid**2, shapes.vlm_dim)
        spatial = torch.empty(1, shapes.spatial_grid**2, shapes.spatial_dim)
        if shared:
            share_counts(model)
        return compute_flops(model, Features(vlm, None, spatial, None))


def test_every_bridge_counts_as_much_as_alone_and_most_of_it_is_run_once(monkeypatch):
    monkeypatch.setattr(shared_counts, "_counted", counted := {})
    assert [count(changes, shared=True) for changes in VARIANTS] == [
        count(changes, shared=False) for changes in VARIANTS
    ]
    n_run = len(counted)
    assert [count(changes, shared=True) for changes in VARIANTS[:3]] == [count(c, shared=False) for c in VARIANTS[:3]]
    assert len(counted) == n_run


def test_a_block_that_holds_what_nobody_can_compare_is_run_each_time():
    block = torch.nn.Linear(2, 2)
    assert shared_counts.describe_block(block) is not None
    block.table = {1: 2}
    assert shared_counts.describe_block(block) is None


@pytest.mark.parametrize("flops", [0, 2, 10**12])
def test_operations_are_spent_without_memory(flops):
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        shared_counts.spend(flops)
    assert counter.get_total_flops() == flops
