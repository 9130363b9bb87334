"""Contracts over every adapter, read from the table: a new one is tested the moment it is listed."""

import pytest
import torch
from bridge_inputs import (
    SHAPES,
    adapter_bridge,
    adapter_trial,
    centre_of_change,
    features,
    half_valid,
)
from torch import nn

from foresight.config import AdapterConfig
from foresight.models.adapter_layers import AdapterSize, Mixture
from foresight.models.adapters import ADAPTERS
from foresight.models.bridge import Features, build_bridge

OTHER_VALUES = {"budget_params": 40_000, "layers": 3, "queries": 8, "dropout": 0.5, "conditioning_dim": 24}

every_adapter = pytest.mark.parametrize("architecture", ADAPTERS)
pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture
def no_gradients(request):
    with torch.set_grad_enabled("gradient" in request.node.name):
        yield


def with_masks(given: Features, vlm: bool, spatial: bool) -> Features:
    n = len(given)
    return Features(
        given.vlm_BVC, half_valid(n, 4) if vlm else None, given.spatial_BSC, half_valid(n, 8) if spatial else None
    )


def test_the_table_and_the_config_name_the_same_adapters():
    assert set(ADAPTERS) == set(AdapterConfig.model_fields["architecture"].annotation.__args__)


@every_adapter
@pytest.mark.parametrize("queries", [4, 7, 16, 77])
def test_there_is_one_conditioning_token_for_each_query(architecture, queries):
    model = adapter_bridge(architecture, queries=queries, conditioning_dim=24)
    assert model.condition(features(3)).shape == (3, queries, 24)


@every_adapter
def test_no_two_queries_give_the_same_token(architecture):
    tokens = adapter_bridge(architecture).condition(features(1))[0]
    distances = torch.cdist(tokens, tokens) + 100 * torch.eye(len(tokens))
    assert distances.min() > 0.1 * tokens.std() * tokens.shape[-1] ** 0.5


@every_adapter
@pytest.mark.parametrize("stream", ["vlm", "spatial"])
def test_moving_content_moves_the_output_the_same_way(architecture, stream):
    model = adapter_bridge(architecture)
    corners = {place: centre_of_change(model, stream, *place) for place in ((0, 0), (0, 3), (3, 0), (3, 3))}
    for near in (0, 3):  # x follows the column, y the row; an adapter that pools gives the same centre four times
        assert corners[near, 3][0] - corners[near, 0][0] > 0.1
        assert corners[3, near][1] - corners[0, near][1] > 0.1


@every_adapter
@pytest.mark.parametrize("stream", ["vlm", "spatial"])
def test_the_same_tokens_in_other_places_are_another_output(architecture, stream):
    model, here, there = adapter_bridge(architecture), features(4), features(4)
    tokens = there.vlm_BVC if stream == "vlm" else there.spatial_BSC
    tokens.copy_(tokens.flip(1))
    plain = model.condition(here)
    assert (model.condition(there) - plain).abs().mean() > 0.1 * plain.std()


@every_adapter
@pytest.mark.parametrize("masked", [(True, True), (True, False), (False, True)])
def test_what_padded_tokens_hold_changes_nothing(architecture, masked):
    model = adapter_bridge(architecture)
    clean, dirty = (with_masks(features(3), *masked) for _ in range(2))
    if dirty.vlm_valid_BV is not None:
        dirty.vlm_BVC[~dirty.vlm_valid_BV] = 1e4
    if dirty.spatial_valid_BS is not None:
        dirty.spatial_BSC[~dirty.spatial_valid_BS] = -1e4
    assert torch.equal(model.condition(clean), model.condition(dirty))


@every_adapter
@pytest.mark.parametrize("masked", [(True, False), (False, True)])
def test_the_mask_of_each_stream_is_read(architecture, masked):
    model = adapter_bridge(architecture)
    moved = model.condition(with_masks(features(3), *masked)) - model.condition(features(3))
    norms = moved.flatten(1).norm(dim=1)
    assert (norms[:2] > 0.1).all()
    assert norms[2] < 1e-4  # the third picture has no padding


@every_adapter
def test_a_batch_gives_what_its_pictures_give_alone(architecture):
    model, batch = adapter_bridge(architecture), features(3)
    together = model.condition(batch)
    for row in range(3):
        assert torch.allclose(model.condition(batch[row : row + 1])[0], together[row], rtol=0, atol=1e-5)


@every_adapter
def test_every_field_of_the_config_is_read(architecture):
    config = adapter_trial(architecture)
    assert set(OTHER_VALUES) == set(type(config.adapter).model_fields) - {"architecture"}

    def outcome(trial):
        model = build_bridge(trial, SHAPES).train()
        torch.manual_seed(0)
        return model.condition(features())

    plain = outcome(config)
    for field, value in OTHER_VALUES.items():
        changed = outcome(adapter_trial(architecture, **{field: value}))
        assert changed.shape != plain.shape or (changed - plain).abs().max() > 0.01, field


def test_no_two_adapters_give_the_same_output():
    outputs = [adapter_bridge(architecture).condition(features()) for architecture in ADAPTERS]
    distances = [(a - b).abs().max() for i, a in enumerate(outputs) for b in outputs[:i]]
    assert len(distances) == 10
    assert min(distances) > 0.1


@every_adapter
def test_a_gradient_reaches_every_parameter(architecture):
    model = adapter_bridge(architecture)
    picture, mask_logits = model(features(4))
    target = torch.rand(picture.shape, generator=torch.Generator().manual_seed(1))
    ((picture - target).square().mean() + (mask_logits - target[:, 0]).square().mean()).backward()
    unreached = [name for name, p in model.named_parameters() if p.grad is None or not (p.grad != 0).any()]
    assert not unreached
    learned = [p for name, p in model.named_parameters() if "learned" in name]
    assert learned
    assert all((p.grad != 0).any(dim=1).all() for p in learned)  # of every single query


def test_the_low_rank_maps_of_lora_have_no_bias_and_their_rank():
    body = adapter_bridge("lora").adapter.body
    attentions = [layer.read for layer in body.reader.layers] + [layer.self_attention for layer in body.reader.layers]
    maps = [body.streams.vlm, body.streams.spatial]
    maps += [getattr(a, name) for a in attentions for name in ("query", "key", "value", "out")]
    assert len(maps) == 2 + 4 * 4
    for down, up in maps:
        assert down.bias is None
        assert up.bias is None
        assert down.out_features == up.in_features == body.streams.vlm_norm.normalized_shape[0] // 4


def test_the_bottleneck_compresses_every_token_and_pools_none():
    body = adapter_bridge("bottleneck").adapter.body
    shapes = []
    for compressor in (body.compress_vlm, body.compress_spatial):
        compressor.register_forward_hook(lambda *hooked: shapes.append(tuple(hooked[2].shape)))
    adapter_width = body.streams.vlm_norm.normalized_shape[0]
    body(features().vlm_BVC, None, features().spatial_BSC, None)
    assert shapes == [(2, 16, adapter_width // 2), (2, 64, adapter_width // 2)]


def test_a_mixture_weighs_its_experts_by_the_gate():
    mixture = Mixture(width=4, dropout=0.0, hidden=8)

    class Constant(nn.Module):
        def __init__(self, value: float):
            super().__init__()
            self.value = value

        def forward(self, tokens):
            return torch.full_like(tokens, self.value)

    mixture.experts = nn.ModuleList(Constant(value) for value in (1.0, 2.0, 4.0, 8.0))
    mixture.gate.weight.zero_()
    mixture.gate.bias.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]).log())
    assert mixture(torch.zeros(1, 1, 4)).flatten().tolist() == pytest.approx([0.1 + 0.4 + 1.2 + 3.2] * 4)


def test_the_gate_of_a_mixture_reads_the_token():
    mixture = adapter_bridge("moe").adapter.body.reader.layers[0].feed_forward
    tokens = torch.randn(1, 8, mixture.norm.normalized_shape[0], generator=torch.Generator().manual_seed(0))
    gates = mixture.gate(mixture.norm(tokens)).softmax(dim=-1)[0]
    assert gates.std(dim=0).min() > 0.05
    assert gates.sum(dim=-1).tolist() == pytest.approx([1.0] * 8)


@pytest.mark.parametrize(
    ("width", "heads"), [(8, 4), (20, 4), (52, 4), (252, 4), (256, 4), (436, 4), (532, 7), (664, 8), (1024, 16)]
)
def test_heads_divide_the_width_and_are_about_one_for_64_channels(width, heads):
    assert AdapterSize(width, 4 * width).n_heads == heads
