"""The VLM's share: by hand on a bridge that is a plain sum, and as a contract over every fusion and adapter."""

import math

import pytest
import torch
from torch import Tensor, nn

from foresight.config import TrialConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.metrics.stream_shares import ShareMap, measure_attention, measure_influence
from foresight.models.adapter_layers import Reader
from foresight.models.adapters import ADAPTERS
from foresight.models.bridge import Bridge, Features, build_bridge
from foresight.models.fusion import FUSIONS
from foresight.models.position import grid_centres

SHAPES = FeatureShapes(vlm_dim=12, vlm_grid=2, spatial_dim=10, spatial_grid=4)
CASES = [("fusion", name) for name in FUSIONS] + [("adapter", name) for name in ADAPTERS]

every_bridge = pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(case))


class SumBridge(nn.Module):
    """Conditioning token q is `a` times VLM token q plus `b` times spatial token q."""

    def __init__(self, a: float, b: float):
        super().__init__()
        self.a, self.b = a, b

    def condition(self, features: Features) -> Tensor:
        return self.a * features.vlm_BVC + self.b * features.spatial_BSC


def features(n: int, seed: int = 0) -> Features:
    generator = torch.Generator().manual_seed(seed)
    vlm = torch.randn(n, SHAPES.vlm_grid**2, SHAPES.vlm_dim, generator=generator)
    return Features(vlm, None, torch.randn(n, SHAPES.spatial_grid**2, SHAPES.spatial_dim, generator=generator), None)


def bridge_of(case: tuple[str, str], **fields) -> Bridge:
    bridge, name = case
    changes = {"fusion.layers": 2, "fusion.queries": 16, "fusion.strategy": name}
    if bridge == "adapter":
        changes = {"adapter.budget_params": 30_000, "adapter.queries": 16, "adapter.architecture": name}
    return build_bridge(TrialConfig().with_fields({"bridge": bridge, **changes, **fields}), SHAPES).eval()


def plain(vlm: float, spatial: float) -> Features:
    """One picture of four tokens with one channel each."""
    return Features(torch.full((1, 4, 1), vlm), None, torch.full((1, 4, 1), spatial), None)


@pytest.mark.parametrize(("a", "b", "share"), [(1, 1, 0.5), (3, 1, 0.9), (1, 2, 0.2), (0, 1, 0.0), (1, 0, 1.0)])
def test_influence_by_hand(a, b, share):
    # Exchanging the VLM moves a token by a, its square by a^2; DINOv2 by b.
    found = measure_influence(SumBridge(a, b), plain(0.0, 0.0), plain(1.0, 1.0))
    assert found.share_BQ.tolist() == [[pytest.approx(share)] * 4]
    assert torch.equal(found.xy_Q2, grid_centres(2, 2))


def test_where_nothing_moves_there_is_no_share():
    found = measure_influence(SumBridge(1, 1), plain(1.0, 1.0), plain(1.0, 1.0))
    assert found.share_BQ.isnan().all()
    everywhere = torch.ones(1, 2, 2, dtype=torch.bool)
    assert all(values.isnan().all() for values in found.regions(everywhere, everywhere).values())


def test_regions_are_means_over_the_places_inside_and_outside_the_mask():
    share_map = ShareMap(torch.tensor([[0.1, 0.2, 0.3, 0.8]] * 3), grid_centres(2, 2))
    mask, content = torch.zeros(3, 4, 4, dtype=torch.bool), torch.ones(3, 4, 4, dtype=torch.bool)
    mask[0, 2:, 2:] = True  # the last place
    mask[1, :2] = True  # the first two
    content[1, :, :2] = False  # the left half is padding: the first and third place count nowhere
    regions = share_map.regions(mask, content)
    assert regions["object"][:2].tolist() == pytest.approx([0.8, 0.2])
    assert regions["background"].tolist() == pytest.approx([0.2, 0.8, 0.35])
    assert math.isnan(regions["object"][2])  # an empty mask


def test_the_mask_of_a_stream_travels_with_its_tokens():
    seen = []

    class Listening(SumBridge):
        def condition(self, features: Features) -> Tensor:
            seen.append((features.vlm_valid_BV, features.spatial_valid_BS))
            return super().condition(features)

    here, other = plain(0.0, 0.0), plain(1.0, 1.0)
    here.vlm_valid_BV, other.spatial_valid_BS = torch.ones(1, 4).bool(), torch.zeros(1, 4).bool()
    measure_influence(Listening(1, 1), here, other)
    assert seen == [(here.vlm_valid_BV, None), (None, None), (here.vlm_valid_BV, other.spatial_valid_BS)]


@every_bridge
def test_every_bridge_has_an_influence_at_every_conditioning_token(case):
    found = measure_influence(bridge_of(case), features(3), features(3, seed=5))
    assert found.share_BQ.shape == (3, 16)
    assert ((found.share_BQ > 0) & (found.share_BQ < 1)).all()


@every_bridge
def test_attention_is_shared_exactly_where_one_softmax_spans_both_streams(case):
    bridge = bridge_of(case)
    found = measure_attention(bridge, features(3))
    assert (found is None) == (case[0] == "fusion" or case[1] == "bottleneck")
    if found is not None:
        assert found.share_BQ.shape == (3, 8 if case[1] == "perceiver" else 16)  # half as many latents as queries
        assert found.xy_Q2.shape == (found.share_BQ.shape[1], 2)
        assert ((found.share_BQ > 0) & (found.share_BQ < 1)).all()
        (reader,) = (module for module in bridge.modules() if isinstance(module, Reader))
        assert not any(layer.read._forward_pre_hooks for layer in reader.layers)


@torch.no_grad()
def test_attention_that_sees_no_difference_is_shared_by_the_number_of_tokens():
    bridge = bridge_of(("adapter", "query"))
    for layer in bridge.adapter.body.reader.layers:
        layer.read.key.weight.zero_()
        layer.bias.log_slope_H.fill_(-math.inf)  # and no token is nearer than another
    found = measure_attention(bridge, features(2))
    assert found.share_BQ.flatten().tolist() == pytest.approx([4 / 20] * 32)


@torch.no_grad()
def test_padded_tokens_have_no_share_of_the_attention():
    given = features(2)
    given.vlm_valid_BV, given.spatial_valid_BS = torch.ones(2, 4).bool(), torch.ones(2, 16).bool()
    given.spatial_valid_BS[0] = False  # nothing but the VLM is left to read
    found = measure_attention(bridge_of(("adapter", "query")), given)
    assert found.share_BQ[0].tolist() == pytest.approx([1.0] * 16)
    assert (found.share_BQ[1] < 1).all()


@pytest.mark.parametrize("strategy", FUSIONS)
def test_a_stream_of_larger_weight_has_more_influence(strategy):
    low, high = (
        measure_influence(
            bridge_of(("fusion", strategy), **{"fusion.vlm_weight": weight}), features(4), features(4, seed=5)
        )
        for weight in (0.1, 0.9)
    )
    assert high.share_BQ.mean() > low.share_BQ.mean() + 0.2
