"""TrialConfig: everything that may change a trial's numbers, and the key that is a hash over the whole of it.

Configs are frozen: a changed config is a copy (`with_fields`). Unknown fields are refused. Where and how fast a trial
runs (GPUs, workers, paths) is not here and so cannot enter the key by accident: see `foresight.tuning.sweep.Placement`.
This package starts without torch, so a sweep can be listed and counted in about a second.
"""

from foresight.config.bridge import (
    BUDGET_DIVISOR,
    FIELDS_IGNORED_BY_FUSION,
    FIELDS_READ_BY_DECODER,
    TOY_LTX,
    AdapterConfig,
    DecoderConfig,
    FusionConfig,
)
from foresight.config.data import (
    CLIP_DATA,
    PIXELS_PER_VLM_TOKEN,
    PLAIN_GROUND_DATA,
    DataConfig,
    DINOv2Config,
    VLMConfig,
)
from foresight.config.fields import check_field, explain, field_names
from foresight.config.part import Part
from foresight.config.training import LossConfig, TrainConfig
from foresight.config.trial import TrialConfig

__all__ = [
    "BUDGET_DIVISOR",
    "CLIP_DATA",
    "FIELDS_IGNORED_BY_FUSION",
    "FIELDS_READ_BY_DECODER",
    "PIXELS_PER_VLM_TOKEN",
    "PLAIN_GROUND_DATA",
    "TOY_LTX",
    "AdapterConfig",
    "DINOv2Config",
    "DataConfig",
    "DecoderConfig",
    "FusionConfig",
    "LossConfig",
    "Part",
    "TrainConfig",
    "TrialConfig",
    "VLMConfig",
    "check_field",
    "explain",
    "field_names",
]
