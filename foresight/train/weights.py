"""What of a model's state a training changes: all but the frozen parameters, which a decoder may have billions of."""

from typing import Any

from torch import Tensor, nn


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """The model's state without its frozen parameters, the tensors themselves."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}


def load_trained_state(model: nn.Module, state: dict[str, Any]) -> None:
    """Puts back what `trained_state` gave. Raises RuntimeError for a state of another model."""
    model.load_state_dict({**model.state_dict(), **state})
