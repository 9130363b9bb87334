"""Before a sweep spends anything: does every factor move the model's output, and is every counted parameter used?

The original study swept fields that its fusions ignored, and read the ties as results.
"""

import contextlib
from collections.abc import Mapping

from torch import Tensor

from foresight.config import TrialConfig
from foresight.errors import RequestError
from foresight.features.stage import StagedData, stage
from foresight.features.store import ArrayStore
from foresight.train.loop import DivergedError, train
from foresight.train.task import Context
from foresight.train.trial import build_task, probe_gradients, shapes_of

# Far above rounding (1e-7 for values near 1), far below what any factor that matters does.
LEAST_CHANGE = 1e-5


class InertFactorError(RequestError):
    """An arm gives the baseline's output, or holds parameters that nothing reaches: sweeping it would mean nothing."""


def probe_config(config: TrialConfig) -> TrialConfig:
    """The same trial on a handful of images for one epoch, so that training and data factors act as well.

    What acts over many steps or epochs alone is set to one value, so that an arm that differs in nothing else is left out.
    """
    head = {"head_train.batch_size": min(config.head_train.batch_size, 4)} if config.continued() else {}
    return config.with_fields(
        head
        | {
            # Two steps: the first alone hides what acts on the second.
            "data.n_train": min(config.data.n_train, 8 * config.train.accumulate),
            "data.n_val": min(config.data.n_val, 2),
            "data.n_test": min(config.data.n_test, 2),
            "train.batch_size": min(config.train.batch_size, 4),
            "train.weight_decay": 0.0,  # times a learning rate in its warm-up, less than a weight's last digit in two steps
            "detector.keep_best": False,  # chooses among epochs, and the probe has one
        }
    )


def check_sensitivity(arms: Mapping[str, TrialConfig], store: ArrayStore, context: Context) -> dict[str, float]:
    """Largest change of any output value against the first arm (the baseline), for each other arm.

    `arms` are probe configs whose entries are in the store. An arm that differs from the baseline only beyond the probe
    (more images, a larger batch) is left out; one whose output has another shape or is not finite counts as infinitely
    far. Raises InertFactorError naming the arms that change nothing or the parameters that no gradient reaches.
    """
    (first, baseline_config), *others = arms.items()
    baseline = _output(first, baseline_config, store, context)
    changes = {
        name: _largest_change(_output(name, config, store, context), baseline)
        for name, config in others
        if config != baseline_config
    }
    inert = [name for name, change in changes.items() if change < LEAST_CHANGE]
    if inert:
        raise InertFactorError(
            f"{', '.join(inert)} gives the baseline's output: it cannot matter, so nothing was started"
        )
    return changes


def _largest_change(output: Tensor, baseline: Tensor) -> float:
    if output.shape != baseline.shape or not output.isfinite().all():
        return float("inf")
    return (output - baseline).abs().max().item()


def _output(name: str, config: TrialConfig, store: ArrayStore, context: Context) -> Tensor:
    data: StagedData = stage(config, store, context.device)
    task = build_task(config, context)
    model = task.build(shapes_of(data))
    reached = probe_gradients(task, model, data)
    unreached = [n for n, p in model.named_parameters() if p.requires_grad and n not in reached]
    if unreached:
        raise InertFactorError(f"arm '{name}': no gradient reaches {', '.join(unreached)}, so nothing was started")
    with contextlib.suppress(DivergedError):  # a bad arm is found out by its trial; its output here is not finite
        next(train(task, model, data))
    return task.output(model, data.test).cpu()
