import pytest
import torch

from foresight.config import TrialConfig
from foresight.encoders.shapes import feature_shapes
from foresight.metrics.cost import compute_flops
from foresight.models.bridge import Bridge, Features, build_bridge
from foresight.train.size import measure_size
from search_spaces import c2_architectures, p2_ablations


def arms(scale: str) -> dict[str, TrialConfig]:
    """Every arm of both studies; an adapter's name starts with its study."""
    adapters = {f"c2 {arm.name}": arm.config for arm in c2_architectures.space(scale).arms()}
    return {arm.name: arm.config for arm in p2_ablations.space(scale).arms()} | adapters


TINY, FULL = arms("tiny"), arms("full")


@pytest.mark.parametrize("arm", TINY)
def test_a_size_that_is_measured_without_weights_is_that_of_the_real_module(arm):
    config = TINY[arm]
    shapes = feature_shapes(config)
    bridge = build_bridge(config, shapes)
    image = Features(
        torch.zeros(1, shapes.vlm_grid**2, shapes.vlm_dim), None,
        torch.zeros(1, shapes.spatial_grid**2, shapes.spatial_dim), None,
    )  # fmt: skip
    n_decoder = sum(p.numel() for name, p in bridge.named_parameters() if name.startswith("decoder."))
    n_other = sum(p.numel() for name, p in bridge.named_parameters() if not name.startswith("decoder."))
    assert measure_size(config) == {
        "params_trained": n_other,
        "params_decoder": n_decoder,
        "flops": compute_flops(bridge, image),
    }


@pytest.mark.parametrize("arm", FULL)
def test_every_full_scale_arm_gives_conditioning_and_pictures_of_the_planned_shape(arm):
    config = FULL[arm]
    shapes = feature_shapes(config)
    with torch.device("meta"), torch.no_grad():
        bridge = Bridge(config.conditioner, config.decoder, config.data.target_px, shapes).eval()
        vlm = torch.empty(2, 64, 3584)
        spatial = torch.empty(2, 256, {"B": 768, "L": 1024, "G": 1536}[config.dinov2.size])
        given = Features(vlm, torch.ones(2, 64).bool(), spatial, torch.ones(2, 256).bool())
        assert bridge.condition(given).shape == (2, config.conditioner.queries, 4096)
        picture, mask_logits = bridge(given)
    assert picture.shape == (2, 3, 224, 224)
    assert mask_logits.shape == (2, 224, 224)


def test_full_scale_sizes_order_as_the_factors_do():
    trained = {arm: measure_size(config)["params_trained"] for arm, config in FULL.items()}
    layers = [trained[name] for name in ("fusion.layers=2", "baseline", "fusion.layers=6", "fusion.layers=8")]
    assert layers == sorted(set(layers))
    assert trained["dinov2.size=B"] < trained["baseline"] < trained["dinov2.size=G"]
    # The streams share the channels, so a weight moves parameters from one stream to the other and adds none.
    assert trained["fusion.vlm_weight=0.3"] == trained["vlm.layer=8"] == trained["baseline"]


def test_flops_do_not_depend_on_what_was_measured_before():
    config = TINY["baseline"]
    first = measure_size(config)
    measure_size(TINY["fusion.layers=8"])
    assert measure_size(config.with_fields({"seed": 3})) == first
