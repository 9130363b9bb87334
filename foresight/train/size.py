"""Sizes of a trial's model without weights or data: built and run on the meta device, so `full` scale is counted anywhere."""

from functools import cache

import torch

from foresight.config import TrialConfig
from foresight.encoders.shapes import feature_shapes
from foresight.metrics.cost import count_sizes
from foresight.models.bridge import Features
from foresight.sizes import sized_config
from foresight.train.shared_counts import share_counts
from foresight.train.task import Context
from foresight.train.trial import MEASUREMENTS, build_task


def measure_size(config: TrialConfig) -> dict[str, float]:
    """`params_trained` (without the decoder), `params_decoder`, and `flops` of the model for one image.

    Running the forward pass on the meta device also checks every shape. Raises RequestError for an adapter budget that
    cannot be met.
    """
    return _size(sized_config(config))


@cache
def _size(config: TrialConfig) -> dict[str, float]:
    shapes = feature_shapes(config)
    context = Context("meta")
    task = build_task(config, context) if config.is_trained else MEASUREMENTS[config.task](config, context)
    with torch.device("meta"):
        model = task.assemble(shapes).eval()
        features = Features(
            torch.empty(1, shapes.vlm_grid**2, shapes.vlm_dim),
            None,
            torch.empty(1, shapes.spatial_grid**2, shapes.spatial_dim),
            None,
        )
        share_counts(model)
        flops = task.count_flops(model, features)
    return {**count_sizes(model, task.decoder(model), task.trained_before(model)), "flops": flops}
