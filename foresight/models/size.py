"""Sizes of a bridge without weights or data: built and run on the meta device, so `full` scale is counted anywhere."""

from functools import cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from foresight.config import AdapterConfig, DecoderConfig, FusionConfig, TrialConfig
from foresight.encoders.shapes import FeatureShapes, feature_shapes
from foresight.models.bridge import Bridge, Features


def measure_size(config: TrialConfig) -> dict[str, float]:
    """`params_trained` (without the decoder), `params_decoder`, and `flops` of the bridge for one image.

    Running the forward pass on the meta device also checks every shape. Raises RequestError for an adapter budget that
    cannot be met.
    """
    shapes = feature_shapes(config.data, config.vlm, config.dinov2)
    # What does not change a size is set to one value, so that a sweep builds each distinct bridge once.
    conditioner = config.conditioner.model_copy(update={"dropout": 0.0})
    return _size(config.data.target_px, conditioner, config.decoder, shapes)


@cache
def _size(
    target_px: int, conditioner: FusionConfig | AdapterConfig, decoder: DecoderConfig, shapes: FeatureShapes
) -> dict[str, float]:
    with torch.device("meta"):
        bridge = Bridge(conditioner, decoder, target_px, shapes).eval()
        features = Features(
            torch.empty(1, shapes.vlm_grid**2, shapes.vlm_dim),
            None,
            torch.empty(1, shapes.spatial_grid**2, shapes.spatial_dim),
            None,
        )
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            bridge(features)
    n_decoder = sum(p.numel() for p in bridge.decoder.parameters())
    return {
        "params_trained": sum(p.numel() for p in bridge.parameters()) - n_decoder,
        "params_decoder": n_decoder,
        "flops": float(counter.get_total_flops()),
    }
