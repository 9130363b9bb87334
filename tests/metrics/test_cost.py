import pytest
import torch
from torch import nn

from foresight.metrics.cost import compute_flops, count_parameters, count_sizes


class SmallBridge(nn.Module):
    """12 parameters in the fusion and 5 in the decoder."""

    def __init__(self):
        super().__init__()
        self.fusion = nn.Linear(3, 3)
        self.decoder = nn.Linear(4, 1)


def all_names(module: nn.Module) -> set[str]:
    return {name for name, _ in module.named_parameters()}


def test_parameters_are_counted_with_the_decoder_apart():
    bridge = SmallBridge()
    assert count_parameters(bridge, bridge.decoder, all_names(bridge), 1000) == {
        "cost/params_total": 1017,
        "cost/params_trained": 12,
        "cost/params_decoder": 5,
    }


@pytest.mark.parametrize("name", ["fusion.bias", "decoder.weight"])
def test_a_parameter_that_no_gradient_reaches_is_refused_by_name(name):
    bridge = SmallBridge()
    with pytest.raises(ValueError, match=name):
        count_parameters(bridge, bridge.decoder, all_names(bridge) - {name}, 0)


def test_a_multiply_add_is_two_operations():
    assert compute_flops(nn.Linear(3, 5), torch.zeros(1, 3)) == 2 * 3 * 5
    assert compute_flops(nn.Conv2d(2, 4, 3, padding=1), torch.zeros(1, 2, 6, 6)) == 2 * (2 * 9) * 4 * 36


def test_flops_are_those_of_inference():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 5)).train()
    compute_flops(model, torch.zeros(1, 3))
    assert not model.training


def test_what_was_trained_before_counts_as_trained_and_its_decoder_does_not():
    before = nn.ModuleDict({"fusion": nn.Linear(3, 4), "decoder": nn.Linear(4, 2)}).requires_grad_(False)
    model = nn.ModuleDict({"before": before, "head": nn.Linear(4, 1)})
    assert count_sizes(model, before["decoder"]) == {"params_trained": 5, "params_decoder": 10}
    assert count_sizes(model, before["decoder"], before) == {"params_trained": 5 + 16, "params_decoder": 10}
