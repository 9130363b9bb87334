from dataclasses import replace

import pytest
import torch
from bridge_inputs import SHAPES, cell, features, half_valid

from foresight.config import ProbeConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.models.bridge import Features
from foresight.models.initialise import initialise
from foresight.models.probe import Probe

STREAMS = {
    "vlm": replace(SHAPES, spatial_dim=0, spatial_grid=0),
    "dinov2": replace(SHAPES, vlm_dim=0, vlm_grid=0),
}
CONFIG = ProbeConfig(hidden=32, heads=4)


def probe(stream: str, seed: int = 0, config: ProbeConfig = CONFIG) -> Probe:
    model = Probe(config, STREAMS[stream])
    initialise(model, seed)
    return model.eval()


def one_stream(stream: str, n: int = 3, seed: int = 0) -> Features:
    """Standard normal tokens of one stream; the other has none, as staged."""
    both, nothing = features(n, seed), torch.empty(n, 0, 0)
    if stream == "vlm":
        return Features(both.vlm_BVC, None, nothing, None)
    return Features(nothing, None, both.spatial_BSC, None)


def with_valid(given: Features, stream: str, valid: torch.Tensor) -> Features:
    return replace(given, **{"vlm_valid_BV" if stream == "vlm" else "spatial_valid_BS": valid})


def tokens_of(given: Features, stream: str) -> torch.Tensor:
    return given.vlm_BVC if stream == "vlm" else given.spatial_BSC


@pytest.fixture(params=STREAMS)
def stream(request) -> str:
    return request.param


def test_a_probe_gives_one_box_inside_the_picture_for_each_image(stream):
    boxes = probe(stream)(one_stream(stream, 5))
    assert boxes.shape == (5, 4)
    assert ((boxes > 0) & (boxes < 1)).all()


def test_a_batch_gives_what_its_images_give_alone(stream):
    model, given = probe(stream), one_stream(stream, 3)
    alone = torch.cat([model(given[row : row + 1]) for row in range(3)])
    assert torch.allclose(alone, model(given), rtol=0, atol=1e-6)


def test_what_lies_in_the_padding_is_not_seen(stream):
    grid = 4 if stream == "vlm" else 8
    model, given, valid = probe(stream), one_stream(stream), half_valid(3, grid)
    plain = model(with_valid(given, stream, valid))
    tokens_of(given, stream)[~valid] = 1e3
    assert torch.equal(model(with_valid(given, stream, valid)), plain)
    assert not torch.allclose(model(given), plain, atol=1e-3)


def test_each_token_inside_the_picture_is_seen(stream):
    grid = 4 if stream == "vlm" else 8
    model, plain = probe(stream), probe(stream)(one_stream(stream))
    for row in range(4):
        for column in range(4):
            given = one_stream(stream)
            tokens_of(given, stream)[:, cell(row, column, grid)] += 1.0
            assert ((model(given) - plain).abs().amax(dim=1) > 1e-5).all()


def test_it_matters_where_a_token_lies(stream):
    model, given = probe(stream), one_stream(stream)
    with torch.no_grad():
        model.learned_query_1D.mul_(50)  # as a trained one: at the start it looks everywhere alike
    plain = model(given)
    tokens = tokens_of(given, stream)
    tokens.copy_(tokens.flip(1))
    assert ((model(given) - plain).abs().amax(dim=1) > 1e-3).all()


def test_a_gradient_reaches_every_parameter(stream):
    model = probe(stream)
    (model(one_stream(stream)) - 0.3).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not (p.grad != 0).any()] == []


def test_probes_of_two_streams_differ_in_the_projection_alone():
    ours, theirs = (dict(probe(stream).named_parameters()) for stream in STREAMS)
    assert ours.keys() == theirs.keys()
    different = [name for name in ours if ours[name].shape != theirs[name].shape]
    assert different == ["project.weight"]
    # Equal start values too: what a block pairs is the stream, not the luck of the draw.
    assert all(torch.equal(ours[name], theirs[name]) for name in ours if name not in different)


def test_the_planned_size_by_hand():
    real = FeatureShapes(vlm_dim=0, vlm_grid=0, spatial_dim=1024, spatial_grid=16)
    with torch.device("meta"):
        model = Probe(ProbeConfig(hidden=512, heads=8), real)
    projection, attention = 1024 * 512 + 512, 4 * 512 * 512 + 512
    head = 2 * (512 * 512 + 512) + 512 * 4 + 4
    assert sum(p.numel() for p in model.parameters()) == projection + 512 + attention + head


def test_blocks_start_from_other_weights():
    first, second = (dict(probe("vlm", seed).named_parameters()) for seed in (0, 1))
    assert not any(torch.equal(first[name], second[name]) for name in first if not name.endswith("bias"))
