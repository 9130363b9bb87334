"""Contracts over every fusion and adapter that can read one stream alone, read from the config's tables."""

import pytest
import torch
from bridge_inputs import SHAPES, adapter_trial, features, half_valid, trial

from foresight.config import TrialConfig
from foresight.config.bridge import ADAPTERS_OF_ONE_STREAM, FUSIONS_OF_ONE_STREAM
from foresight.encoders.shapes import FeatureShapes, feature_shapes
from foresight.errors import RequestError
from foresight.models.adapters import ADAPTERS
from foresight.models.bridge import Bridge, Features, build_bridge
from foresight.models.budget import count_adapter, solve_size
from foresight.models.fusion import FUSIONS
from foresight.train.size import measure_size
from search_spaces import p2_dinov2_only

CASES = [("fusion", name) for name in FUSIONS_OF_ONE_STREAM] + [("adapter", name) for name in ADAPTERS_OF_ONE_STREAM]
OTHERS = [("fusion", name) for name in FUSIONS if name not in FUSIONS_OF_ONE_STREAM]
OTHERS += [("adapter", name) for name in ADAPTERS if name not in ADAPTERS_OF_ONE_STREAM]

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(case))
both_streams = pytest.mark.parametrize("stream", ["vlm", "dinov2"])


def shapes_of(stream: str) -> FeatureShapes:
    if stream == "vlm":
        return FeatureShapes(SHAPES.vlm_dim, SHAPES.vlm_grid, 0, 0)
    return FeatureShapes(0, 0, SHAPES.spatial_dim, SHAPES.spatial_grid)


def config_of(case: tuple[str, str], stream: str) -> TrialConfig:
    bridge, name = case
    return (trial(name) if bridge == "fusion" else adapter_trial(name)).with_fields({"streams": stream})


def bridge_of(case: tuple[str, str], stream: str) -> Bridge:
    return build_bridge(config_of(case, stream), shapes_of(stream)).eval()


def only(stream: str, given: Features, valid: torch.Tensor | None = None) -> Features:
    """The features with the other stream left unread."""
    nothing = torch.empty(len(given), 0, 0)
    if stream == "vlm":
        return Features(given.vlm_BVC, valid, nothing, None)
    return Features(nothing, None, given.spatial_BSC, valid)


@every_case
@both_streams
def test_one_stream_gives_every_conditioning_token_and_none_like_another(case, stream):
    with torch.no_grad():
        tokens = bridge_of(case, stream).condition(only(stream, features(3)))
    assert tokens.shape == (3, 16, 16)
    distances = torch.cdist(tokens[0], tokens[0]) + 100 * torch.eye(16)
    assert distances.min() > 0.1 * tokens.std() * tokens.shape[-1] ** 0.5


@every_case
@both_streams
def test_a_gradient_reaches_every_parameter(case, stream):
    model = bridge_of(case, stream)
    picture, mask_logits = model(only(stream, features(4)))
    target = torch.rand(picture.shape, generator=torch.Generator().manual_seed(1))
    ((picture - target).square().mean() + (mask_logits - target[:, 0]).square().mean()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not (p.grad != 0).any()] == []


@every_case
@both_streams
def test_the_stream_is_read(case, stream):
    model = bridge_of(case, stream)
    with torch.no_grad():
        plain, other = (model.condition(only(stream, features(2, seed))) for seed in (0, 5))
    assert (other - plain).abs().mean() > 0.1 * plain.std()


@every_case
@both_streams
def test_what_padded_tokens_hold_changes_nothing_and_the_mask_is_read(case, stream):
    model, valid = bridge_of(case, stream), half_valid(3, 4 if stream == "vlm" else 8)
    clean, dirty = only(stream, features(3), valid), only(stream, features(3), valid)
    (dirty.vlm_BVC if stream == "vlm" else dirty.spatial_BSC)[~valid] = 1e4
    with torch.no_grad():
        masked, whole = model.condition(clean), model.condition(only(stream, features(3)))
        assert torch.equal(masked, model.condition(dirty))
    moved = (masked - whole).flatten(1).norm(dim=1)
    assert (moved[:2] > 0.1).all()
    assert moved[2] < 1e-4  # the third picture has no padding


@every_case
@both_streams
def test_the_unread_stream_has_no_parameters(case, stream):
    names = {name for name, _ in bridge_of(case, stream).named_parameters()}
    unread = "spatial" if stream == "vlm" else "vlm"
    assert [name for name in names if unread in name] == []
    assert any({"dinov2": "spatial"}.get(stream, stream) in name for name in names)


@pytest.mark.parametrize("scale", ["tiny", "full"])
@pytest.mark.parametrize("label_millions", [5, 10, 20])
@pytest.mark.parametrize("architecture", ADAPTERS_OF_ONE_STREAM)
@both_streams
def test_a_budget_is_met_by_one_stream_alone(architecture, scale, label_millions, stream):
    baseline = p2_dinov2_only.baseline(scale).with_fields({"streams": stream, "adapter.architecture": architecture})
    n_params = label_millions * baseline.adapter.budget_params // 10
    config, shapes = baseline.adapter.model_copy(update={"budget_params": n_params}), feature_shapes(baseline)
    assert count_adapter(config, solve_size(config, shapes), shapes) == pytest.approx(n_params, rel=0.01)


@both_streams
def test_the_plan_counts_one_stream_as_it_is_built(stream):
    config = p2_dinov2_only.baseline("tiny").with_fields({"streams": stream})
    built = build_bridge(config, feature_shapes(config))
    n_adapter = sum(p.numel() for name, p in built.named_parameters() if not name.startswith("decoder."))
    assert measure_size(config)["params_trained"] == n_adapter == pytest.approx(100_000, rel=0.01)


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: "-".join(case))
@both_streams
def test_what_joins_two_streams_is_refused_one(case, stream):
    with pytest.raises(RequestError, match=f"{case[0]} '{case[1]}' joins two streams; of one stream alone: "):
        config_of(case, stream)


def test_the_tables_name_what_is_there():
    assert set(FUSIONS_OF_ONE_STREAM) < set(FUSIONS)
    assert set(ADAPTERS_OF_ONE_STREAM) < set(ADAPTERS)
