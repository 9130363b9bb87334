"""A running training as bytes: all that it needs to go on bit for bit, as safetensors with JSON in the header.

Nothing of it is executed when it is read. It is a help and no record: what is missing, torn or another training's costs
the epochs that it would have saved, and nothing else.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from foresight.train.loop import Best, Training
from foresight.train.plateau import PlateauState
from foresight.train.weights import load_trained_state, trained_state

FORMAT = 1
LENGTH_BYTES = 8  # of the header's length, in front of it


@dataclass
class Checkpoint:
    """Keeps one training, at most every `every_s` seconds, and takes it up again from there.

    `read` gives the bytes that were kept, or None, and `write` replaces them, all or nothing. `identity` names what must
    not have changed meanwhile: the trial, the code, the processes that share it.
    """

    read: Callable[[], bytes | None]
    write: Callable[[bytes], None]
    identity: dict[str, Any]
    every_s: float = 0.0
    _last: float = field(default_factory=time.monotonic, init=False)

    def keep(self, training: Training) -> None:
        if training.ranks.is_first and time.monotonic() - self._last >= self.every_s:
            self.write(dump(training, self.identity))
            self._last = time.monotonic()

    def resume(self, training: Training) -> None:
        """Puts a new training where the kept one stood, if there is one of this identity and it is whole."""
        content = self.read()
        if content is None:
            return
        try:
            tensors = load(content)
        except SafetensorError:  # torn: the machine died while it was written
            return
        length = int.from_bytes(content[:LENGTH_BYTES], "little")
        facts = json.loads(json.loads(content[LENGTH_BYTES : LENGTH_BYTES + length])["__metadata__"]["training"])
        if (facts["format"], facts["identity"]) == (FORMAT, self.identity):
            restore(training, facts, tensors)


def dump(training: Training, identity: dict[str, Any]) -> bytes:
    """The training after an epoch: weights, optimiser, plateau, best epoch, rows, random state."""
    facts: dict[str, Any] = {
        "format": FORMAT,
        "identity": identity,
        "epoch": training.epoch,
        "step": training.step,
        "elapsed_s": training.elapsed_s,
        "rows": training.rows,
    }
    tensors = _named("model", trained_state(training.model)) | _optimiser("optimiser", training.optimiser.state_dict())
    tensors["random/cpu"] = torch.get_rng_state()
    if _is_on_gpu(training):
        tensors["random/cuda"] = torch.cuda.get_rng_state(training.task.device)
    if training.best is not None:
        facts["best"] = {"score": training.best.score, "epoch": training.best.epoch}
        tensors |= _named("best", training.best.weights)
    if training.plateau is not None:
        state = training.plateau.state()
        facts["plateau"] = state.numbers
        tensors |= _named("plateau_model", state.weights) | _optimiser("plateau_optimiser", state.optimiser)
    # Copies: two names of one tensor, as tied weights have, cannot be stored.
    copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    return save(copies, metadata={"training": json.dumps(facts)})


def restore(training: Training, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Puts a new training where the saved one stood."""
    training.epoch, training.step = facts["epoch"], facts["step"]
    training.elapsed_s, training.rows = facts["elapsed_s"], facts["rows"]
    device = training.task.device
    load_trained_state(training.model, _of("model", tensors))
    training.optimiser.load_state_dict(_optimiser_state(training, "optimiser", tensors))
    if "best" in facts:
        weights = {name: tensor.to(device) for name, tensor in _of("best", tensors).items()}
        training.best = Best(facts["best"]["score"], facts["best"]["epoch"], weights)
    if training.plateau is not None:
        weights = {name: tensor.to(device) for name, tensor in _of("plateau_model", tensors).items()}
        optimiser = _optimiser_state(training, "plateau_optimiser", tensors)
        training.plateau.put_back(PlateauState(facts["plateau"], weights, optimiser))
    torch.set_rng_state(tensors["random/cpu"])
    if _is_on_gpu(training):
        torch.cuda.set_rng_state(tensors["random/cuda"], device)


def _named(part: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{part}/{name}": tensor for name, tensor in state.items()}


def _of(part: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.partition("/")[2]: tensor for name, tensor in tensors.items() if name.startswith(f"{part}/")}


def _optimiser(part: str, state: dict[str, Any]) -> dict[str, Tensor]:
    """AdamW's tensors by `<parameter's number>/<name>`; its groups are those of the config."""
    return {f"{part}/{number}/{name}": tensor for number, own in state["state"].items() for name, tensor in own.items()}


def _optimiser_state(training: Training, part: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in _of(part, tensors).items():
        number, _, name = path.partition("/")
        state.setdefault(int(number), {})[name] = tensor
    return {"state": state, "param_groups": training.optimiser.state_dict()["param_groups"]}


def _is_on_gpu(training: Training) -> bool:
    return torch.device(training.task.device).type == "cuda"
