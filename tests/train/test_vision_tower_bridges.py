"""Bridges read the vision tower like any layer: its tokens before the merger are more, and have channels of their own."""

import pytest
import torch
from small_trials import fill, small, small_adapter

from foresight.features.stage import stage
from foresight.features.store import ArrayStore
from foresight.models.adapters import ADAPTERS
from foresight.models.fusion import FUSIONS
from foresight.train.reconstruction import Reconstruction
from foresight.train.sensitivity import check_sensitivity
from foresight.train.size import measure_size
from foresight.train.task import Context
from foresight.train.trial import shapes_of

BRIDGES = {name: small(fusion__strategy=name) for name in FUSIONS}
BRIDGES |= {f"adapter {name}": small_adapter(adapter__architecture=name) for name in ADAPTERS}
LAYERS = ("pre_merge", "post_merge")


@pytest.fixture(scope="module")
def tower_store(tmp_path_factory) -> ArrayStore:
    layers = [small(vlm__layer=layer) for layer in LAYERS]
    return fill(ArrayStore(tmp_path_factory.mktemp("tower")), small(), *layers)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", BRIDGES)
def test_a_bridge_gives_pictures_from_the_vision_tower(tower_store, name, layer):
    config = BRIDGES[name].with_fields({"vlm.layer": layer})
    data = stage(config, tower_store, "cpu")
    assert shapes_of(data).vlm_grid == {"pre_merge": 4, "post_merge": 2}[layer]
    task = Reconstruction(config, Context("cpu"))
    model = task.build(shapes_of(data))
    assert task.output(model, data.test).shape == (5, 4, 32, 32)
    assert torch.isfinite(task.output(model, data.test)).all()


def test_where_the_vlm_is_read_moves_the_picture(tower_store):
    arms = {"baseline": small(), **{layer: small(vlm__layer=layer) for layer in LAYERS}}
    assert all(change > 0.01 for change in check_sensitivity(arms, tower_store, Context("cpu")).values())


@pytest.mark.parametrize("name", BRIDGES)
def test_a_full_scale_bridge_takes_the_towers_channels(name):
    real = BRIDGES[name].with_fields(
        {"vlm.checkpoint": "Qwen/Qwen2.5-VL-7B-Instruct", "vlm.layer": "pre_merge", "data.image_px": 224}
        | ({"adapter.budget_params": 400_000} if name.startswith("adapter") else {})
    )
    assert measure_size(real)["flops"] > 0
