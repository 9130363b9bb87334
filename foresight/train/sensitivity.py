"""Before a sweep spends anything: does every factor move the model's output, and is every counted parameter used?

The original study swept fields that its fusions ignored, and read the ties as results.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from foresight.config import TrialConfig
from foresight.features.stage import StagedData, stage
from foresight.features.store import ArrayStore
from foresight.models.bridge import build_bridge
from foresight.train.loop import autocast, train
from foresight.train.trial import probe_gradients, shapes_of

# Far above rounding (1e-7 for values near 1), far below what any factor that matters does.
LEAST_CHANGE = 1e-5


class InertFactorError(RuntimeError):
    """An arm gives the baseline's output, or holds parameters that nothing reaches: sweeping it would mean nothing."""


def probe_config(config: TrialConfig) -> TrialConfig:
    """The same trial on a handful of images for one epoch, so that training and data factors act as well."""
    return config.with_fields(
        {
            "data.n_train": min(config.data.n_train, 8),
            "data.n_val": min(config.data.n_val, 2),
            "data.n_test": min(config.data.n_test, 2),
        }
    )


def check_sensitivity(arms: Mapping[str, TrialConfig], store: ArrayStore, device: str) -> dict[str, float]:
    """Largest change of any output pixel against the first arm (the baseline), for each other arm.

    `arms` are probe configs whose entries are in the store. Raises InertFactorError naming the arms that change nothing
    or the parameters that no gradient reaches.
    """
    outputs = {name: _output(name, config, store, device) for name, config in arms.items()}
    baseline = next(iter(outputs.values()))
    changes = {
        name: (output - baseline).abs().max().item() if output.shape == baseline.shape else float("inf")
        for name, output in list(outputs.items())[1:]
    }
    inert = [name for name, change in changes.items() if change < LEAST_CHANGE]
    if inert:
        raise InertFactorError(
            f"{', '.join(inert)} gives the baseline's output: it cannot matter, so nothing was started"
        )
    return changes


def _output(name: str, config: TrialConfig, store: ArrayStore, device: str) -> Tensor:
    data: StagedData = stage(config, store, device)
    bridge = build_bridge(config, shapes_of(data)).to(device)
    reached = probe_gradients(bridge, config, data, device)
    unreached = [parameter for parameter, _ in bridge.named_parameters() if parameter not in reached]
    if unreached:
        raise InertFactorError(f"arm '{name}': no gradient reaches {', '.join(unreached)}, so nothing was started")
    next(train(bridge, data, config.train, config.seed, device))
    bridge.eval()
    with torch.no_grad(), autocast(device, config.train.precision):
        picture, mask_logits = bridge(data.test.features[torch.arange(len(data.test), device=device)])
    return torch.cat([picture.float(), mask_logits.float().sigmoid()[:, None]], dim=1).cpu()
