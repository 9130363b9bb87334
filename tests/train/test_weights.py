import pytest
import torch
from torch import nn

from foresight.train.weights import load_trained_state, trained_state


def test_what_is_frozen_is_neither_kept_nor_changed():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    model[0].requires_grad_(False)
    state = {name: tensor.clone() for name, tensor in trained_state(model).items()}
    assert set(state) == {name for name in model.state_dict() if not name.startswith("0.")}
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor += 1
    frozen = model[0].weight.clone()
    load_trained_state(model, state)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in state.items())
    assert torch.equal(model[0].weight, frozen)


def test_a_state_of_another_model_is_refused():
    with pytest.raises(RuntimeError, match="Unexpected key"):
        load_trained_state(nn.Linear(2, 2), {"other": torch.zeros(1)})
