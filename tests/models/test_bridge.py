import itertools

import pytest
import torch
from bridge_inputs import SHAPES, bridge, features, trial

from foresight.models.attention import Attention
from foresight.models.bridge import build_bridge
from foresight.models.initialise import initialise
from search_spaces import p2_ablations

ARMS = {arm.name: arm.config for arm in p2_ablations.space("tiny").arms()}


def start_values(config) -> dict[str, torch.Tensor]:
    return dict(build_bridge(config, SHAPES).named_parameters())


def test_arms_of_a_block_start_equal_in_all_they_have_in_common():
    arms = [start_values(config) for config in ARMS.values()]
    for first, second in itertools.combinations(arms, 2):
        shared = [name for name in first.keys() & second.keys() if first[name].shape == second[name].shape]
        assert all(torch.equal(first[name], second[name]) for name in shared)
        assert {"head.weight", "streams.vlm.weight", "decoder.to_pixels.weight"} <= set(shared)


def test_blocks_start_from_other_weights():
    first, second = (start_values(trial().with_fields({"seed": seed})) for seed in (0, 1))
    drawn = [name for name, value in first.items() if value.ndim >= 2]
    assert len(drawn) > 20
    assert not any(torch.equal(first[name], second[name]) for name in drawn)


def test_no_two_parameters_start_from_the_same_draw():
    drawn = [value.flatten()[:50] for value in start_values(trial()).values() if value.ndim >= 2]
    assert len({tuple((value / value.std()).tolist()) for value in drawn}) == len(drawn)


def test_weights_ignore_the_global_seed():
    torch.manual_seed(1)
    first = start_values(trial())
    torch.manual_seed(2)
    second = start_values(trial())
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_matrices_start_with_variance_one_over_fan_in_and_biases_at_zero():
    for name, value in start_values(trial(width=64)).items():
        if name.endswith("bias"):
            assert (value == 0).all()
        elif name.endswith("weight") and value.ndim >= 2 and value.numel() > 2000:
            assert value.std().item() * value[0].numel() ** 0.5 == pytest.approx(1, abs=0.1), name


def test_scales_and_slopes_keep_their_own_start():
    slopes = torch.nn.Module()
    slopes.log_slope_H = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    slopes.norm = torch.nn.LayerNorm(4)
    initialise(slopes, 0)
    assert slopes.log_slope_H.tolist() == [1, 2]
    assert slopes.norm.weight.tolist() == [1] * 4


def test_a_bridge_gives_a_picture_and_a_mask():
    with torch.no_grad():
        picture, mask_logits = bridge()(features(3))
    assert picture.shape == (3, 3, 32, 32)
    assert mask_logits.shape == (3, 32, 32)


def test_attention_is_a_weighted_mean_of_the_values_it_may_see():
    attention = Attention(width=4, n_heads=2)
    with torch.no_grad():
        for part in (attention.query, attention.key):
            part.weight.zero_()  # all tokens equally near
        for part in (attention.value, attention.out):
            part.weight.copy_(torch.eye(4))
        attention.out.bias.zero_()
    tokens = torch.tensor([[[1.0, 2, 3, 4], [3, 4, 5, 6], [100, 100, 100, 100]]])
    valid = torch.tensor([[True, True, False]])
    queries = torch.zeros(1, 1, 4)
    assert attention(queries, tokens, None, valid).flatten().tolist() == pytest.approx([2, 3, 4, 5])
    # The first head, the first two channels, looks at the first token three times as much as at the second.
    bias = torch.tensor([[[3.0, 1, 1]], [[1.0, 1, 1]]]).log()
    assert attention(queries, tokens, bias, valid).flatten().tolist() == pytest.approx([1.5, 2.5, 4, 5])


def test_attention_weighs_by_the_scaled_product_of_query_and_key():
    attention = Attention(width=4, n_heads=1)
    with torch.no_grad():
        for part in (attention.query, attention.key, attention.value, attention.out):
            part.weight.copy_(torch.eye(4))
        attention.out.bias.zero_()
    tokens = torch.tensor([[[2.0, 0, 0, 0], [0, 2.0, 0, 0]]])
    share = torch.tensor([2.0 * 3 / 4**0.5, 0.0]).softmax(dim=0)
    output = attention(torch.tensor([[[3.0, 0, 0, 0]]]), tokens)
    assert output.flatten().tolist() == pytest.approx([2 * share[0].item(), 2 * share[1].item(), 0, 0])
