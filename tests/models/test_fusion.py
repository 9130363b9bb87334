"""Contracts over every fusion, read from the table: a new one is tested the moment it is listed."""

from types import SimpleNamespace

import pytest
import torch
from bridge_inputs import SHAPES, bridge, centre_of_change, features, half_valid, trial

from foresight.config import FIELDS_IGNORED_BY_FUSION, FusionConfig
from foresight.models.bridge import Features, build_bridge
from foresight.models.fusion import FUSIONS, join_streams, read_at_places, stream_widths, unit_size

# The last projections before the streams are joined: the ones whose scale could undo the stream weight.
OWN_PROJECTIONS = {
    "cross_attention": ("read_vlm.out", "read_spatial.out"),
    "concat": ("to_vlm_share", "to_spatial_share"),
    "film": ("to_vlm_share.0", "to_spatial_share.0", "to_vlm_share.1", "to_spatial_share.1"),
    "perceiver": ("read_vlm.out", "read_spatial.out"),
}
OTHER_VALUES = {
    "layers": 3, "queries": 8, "width": 64, "heads": 8, "vlm_weight": 0.8, "dropout": 0.5, "conditioning_dim": 24
}  # fmt: skip

every_fusion = pytest.mark.parametrize("strategy", FUSIONS)
pytestmark = pytest.mark.usefixtures("no_gradients")
BOTH = SimpleNamespace(vlm_grid=4, spatial_grid=8)


@pytest.fixture
def no_gradients(request):
    with torch.set_grad_enabled("gradient" in request.node.name):
        yield


def influence(strategy: str, vlm_weight: float) -> tuple[float, float]:
    """How far the conditioning moves when the VLM's tokens are exchanged, and when the spatial ones are."""
    model, here, other = bridge(strategy, vlm_weight=vlm_weight), features(4), features(4, seed=5)
    plain = model.condition(here)
    vlm = model.condition(Features(other.vlm_BVC, None, here.spatial_BSC, None)) - plain
    spatial = model.condition(Features(here.vlm_BVC, None, other.spatial_BSC, None)) - plain
    return vlm.norm().item(), spatial.norm().item()


@every_fusion
@pytest.mark.parametrize("queries", [1, 7, 16, 32])
def test_there_is_one_conditioning_token_for_each_query(strategy, queries):
    model = bridge(strategy, queries=queries, conditioning_dim=24)
    assert model.condition(features(3)).shape == (3, queries, 24)


@every_fusion
def test_no_two_queries_give_the_same_token(strategy):
    tokens = bridge(strategy).condition(features(1))[0]
    distances = torch.cdist(tokens, tokens) + 100 * torch.eye(len(tokens))
    assert distances.min() > 0.1 * tokens.std() * tokens.shape[-1] ** 0.5


@every_fusion
@pytest.mark.parametrize("stream", ["vlm", "spatial"])
def test_moving_content_moves_the_output_the_same_way(strategy, stream):
    model = bridge(strategy)
    corners = {place: centre_of_change(model, stream, *place) for place in ((0, 0), (0, 3), (3, 0), (3, 3))}
    for near in (0, 3):  # x follows the column, y the row; a fusion that pools gives the same centre four times
        assert corners[near, 3][0] - corners[near, 0][0] > 0.1
        assert corners[3, near][1] - corners[0, near][1] > 0.1


@every_fusion
def test_what_padded_tokens_hold_changes_nothing(strategy):
    model = bridge(strategy)
    masks = {"vlm_valid_BV": half_valid(3, 4), "spatial_valid_BS": half_valid(3, 8)}
    clean, dirty = features(3), features(3)
    dirty.vlm_BVC[~masks["vlm_valid_BV"]] = 1e4
    dirty.spatial_BSC[~masks["spatial_valid_BS"]] = -1e4
    clean, dirty = (Features(f.vlm_BVC, spatial_BSC=f.spatial_BSC, **masks) for f in (clean, dirty))
    assert torch.equal(model.condition(clean), model.condition(dirty))


@every_fusion
@pytest.mark.parametrize("stream", ["vlm", "spatial"])
def test_the_mask_of_each_stream_is_read(strategy, stream):
    whole = features(3)
    masks = {"vlm": (half_valid(3, 4), None), "spatial": (None, half_valid(3, 8))}[stream]
    masked = Features(whole.vlm_BVC, masks[0], whole.spatial_BSC, masks[1])
    moved = (bridge(strategy).condition(masked) - bridge(strategy).condition(whole)).flatten(1).norm(dim=1)
    assert (moved[:2] > 0.1).all()
    assert moved[2] < 1e-4  # the third picture has no padding


@every_fusion
def test_a_mask_of_whole_pictures_is_no_mask(strategy):
    whole = features(2)
    masks = (torch.ones(2, 16, dtype=torch.bool), torch.ones(2, 64, dtype=torch.bool))
    masked = Features(whole.vlm_BVC, masks[0], whole.spatial_BSC, masks[1])
    model = bridge(strategy)
    assert torch.allclose(model.condition(masked), model.condition(whole), rtol=0, atol=1e-5)


@every_fusion
def test_a_batch_gives_what_its_pictures_give_alone(strategy):
    model, batch = bridge(strategy), features(3)
    together = model.condition(batch)
    for row in range(3):
        assert torch.allclose(model.condition(batch[row : row + 1])[0], together[row], rtol=0, atol=1e-5)


@every_fusion
def test_a_fusion_reads_every_field_but_those_it_is_said_to_ignore(strategy):
    config = trial(strategy)
    assert set(OTHER_VALUES) == set(type(config.fusion).model_fields) - {"strategy"}

    def outcome(fusion):
        # model_copy does not check, so a field can be changed that the config would refuse.
        model = build_bridge(config.model_copy(update={"fusion": fusion}), SHAPES)
        model.train()
        torch.manual_seed(0)
        return model, model.condition(features())

    plain_model, plain = outcome(config.fusion)
    for field, value in OTHER_VALUES.items():
        model, output = outcome(config.fusion.model_copy(update={field: value}))
        shapes = [(name, p.shape) for name, p in model.named_parameters()]
        same_shapes = shapes == [(name, p.shape) for name, p in plain_model.named_parameters()]
        ignored = same_shapes and torch.equal(output, plain)
        assert ignored == (field in FIELDS_IGNORED_BY_FUSION[strategy]), field


@every_fusion
def test_more_layers_are_more_parameters_and_another_output(strategy):
    models = [bridge(strategy, layers=layers) for layers in (1, 2, 3)]
    sizes = [sum(p.numel() for p in model.fusion.parameters()) for model in models]
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0] > 0
    outputs = [model.condition(features()) for model in models]
    assert (outputs[0] - outputs[1]).abs().max() > 0.01
    assert (outputs[1] - outputs[2]).abs().max() > 0.01


@every_fusion
def test_a_gradient_reaches_every_parameter(strategy):
    model = bridge(strategy)
    picture, mask_logits = model(features(4))
    target = torch.rand(picture.shape, generator=torch.Generator().manual_seed(1))
    ((picture - target).square().mean() + (mask_logits - target[:, 0]).square().mean()).backward()
    unreached = [name for name, p in model.named_parameters() if p.grad is None or not (p.grad != 0).any()]
    assert not unreached
    learned = [p for name, p in model.named_parameters() if "learned" in name]
    assert learned
    assert all((p.grad != 0).any(dim=1).all() for p in learned)  # of every single query


@every_fusion
def test_the_stream_weight_shifts_influence_to_the_vlm(strategy):
    shares = [vlm / spatial for vlm, spatial in (influence(strategy, w) for w in (0.1, 0.3, 0.5, 0.7, 0.9))]
    assert shares == sorted(shares)
    assert shares[0] < 0.5  # the spatial stream rules
    assert shares[-1] > 1.25  # the VLM does


@every_fusion
def test_no_projection_of_a_stream_can_undo_its_weight(strategy):
    model = bridge(strategy, vlm_weight=0.3)
    plain = model.condition(features())
    for ending in OWN_PROJECTIONS[strategy]:
        projections = [part for name, part in model.fusion.named_modules() if name.endswith(ending)]
        assert projections
        for projection in projections:
            projection.weight.mul_(7)
        assert torch.allclose(model.condition(features()), plain, rtol=0, atol=1e-4)


def test_film_weighs_the_streams_whatever_their_size():
    model, given = bridge("film", vlm_weight=0.3), features()
    vlm, spatial = model.streams(given.vlm_BVC, given.spatial_BSC)
    plain = model.fusion(vlm, None, spatial, None)
    assert torch.allclose(model.fusion(vlm, None, 7 * spatial, None), plain, rtol=0, atol=1e-4)


def test_joining_puts_unit_size_streams_side_by_side():
    vlm, spatial = torch.tensor([[[3.0]]]), torch.tensor([[[0.0, 5.0]]])
    # Root mean squares 3 and 5 / sqrt 2: unit sizes (1) and (0, sqrt 2).
    assert torch.allclose(join_streams(vlm, spatial), torch.tensor([[[1.0, 0.0, 2**0.5]]]), atol=1e-6)


@pytest.mark.parametrize(("vlm_factor", "spatial_factor"), [(100.0, 1.0), (1.0, 100.0), (0.1, 30.0)])
def test_joining_ignores_the_size_of_its_streams(vlm_factor, spatial_factor):
    generator = torch.Generator().manual_seed(0)
    vlm, spatial = torch.randn(2, 2, 5, 8, generator=generator)
    joined = join_streams(vlm_factor * vlm, spatial_factor * spatial)
    assert torch.allclose(joined, join_streams(vlm, spatial), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("weight", "widths"), [(0.3, (10, 22)), (0.5, (16, 16)), (0.7, (22, 10)), (0.001, (1, 31))])
def test_a_weight_is_a_share_of_the_channels(weight, widths):
    assert stream_widths(FusionConfig(width=32, vlm_weight=weight), BOTH) == widths


@pytest.mark.parametrize("strategy", ["cross_attention", "concat", "perceiver"])
def test_no_projection_after_the_join_brings_back_channels_that_a_stream_never_had(strategy, monkeypatch):
    joined: list[torch.Tensor] = []

    def keep(vlm: torch.Tensor, spatial: torch.Tensor) -> torch.Tensor:
        joined.append(join_streams(vlm, spatial))
        return joined[-1]

    monkeypatch.setattr("foresight.models.fusion.join_streams", keep)
    model = bridge(strategy, layers=1, vlm_weight=0.3)
    for seed in range(8):  # the same spatial stream under eight VLM streams
        model.condition(Features(features(4, seed=seed).vlm_BVC, None, features(4).spatial_BSC, None))
    moved = torch.cat([tokens - joined[0] for tokens in joined[1:]]).flatten(0, 1).double()
    following = torch.randn(moved.shape[1], moved.shape[1], generator=torch.Generator().manual_seed(2)).double()
    share = stream_widths(trial(strategy, vlm_weight=0.3).fusion, BOTH)[0]
    assert torch.linalg.matrix_rank(moved @ following, rtol=1e-9) == share


def test_a_token_of_zeros_has_no_direction_and_stays_zero():
    assert torch.equal(unit_size(torch.zeros(1, 2, 4)), torch.zeros(1, 2, 4))


def test_reading_leaves_padded_tokens_out_and_renormalises():
    tokens = torch.tensor([[[1.0], [2.0], [5.0]]])
    weights = torch.tensor([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])
    assert read_at_places(tokens, weights, None).flatten().tolist() == [2.25, 5.0]
    valid = torch.tensor([[True, True, False]])
    # The first place reads (.5 * 1 + .25 * 2) / .75; the second lies in the padding and reads nothing.
    assert read_at_places(tokens, weights, valid).flatten().tolist() == pytest.approx([4 / 3, 0.0])


def test_every_fusion_of_the_table_says_what_it_ignores_and_projects():
    assert set(FUSIONS) == set(FIELDS_IGNORED_BY_FUSION) == set(OWN_PROJECTIONS)
