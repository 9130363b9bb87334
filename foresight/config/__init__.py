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
    DATA_WITHOUT_MASKS,
    GENERATED_DATA,
    N_CLASSES,
    PIXELS_PER_VLM_TOKEN,
    PLAIN_GROUND_DATA,
    DataConfig,
    DINOv2Config,
    VLMConfig,
)
from foresight.config.detector import DetectorConfig
from foresight.config.fields import check_field, check_value, explain, field_names
from foresight.config.heldout import HELDOUT_SETS, HeldoutConfig
from foresight.config.part import Part
from foresight.config.probe import ProbeConfig
from foresight.config.timing import TimingConfig
from foresight.config.training import FIELDS_IGNORED_BY_LOSS, FIELDS_IGNORED_BY_SCHEDULE, LossConfig, TrainConfig
from foresight.config.trial import TrialConfig

__all__ = [
    "BUDGET_DIVISOR",
    "CLIP_DATA",
    "DATA_WITHOUT_MASKS",
    "FIELDS_IGNORED_BY_FUSION",
    "FIELDS_IGNORED_BY_LOSS",
    "FIELDS_IGNORED_BY_SCHEDULE",
    "FIELDS_READ_BY_DECODER",
    "GENERATED_DATA",
    "HELDOUT_SETS",
    "N_CLASSES",
    "PIXELS_PER_VLM_TOKEN",
    "PLAIN_GROUND_DATA",
    "TOY_LTX",
    "AdapterConfig",
    "DINOv2Config",
    "DataConfig",
    "DecoderConfig",
    "DetectorConfig",
    "FusionConfig",
    "HeldoutConfig",
    "LossConfig",
    "Part",
    "ProbeConfig",
    "TimingConfig",
    "TrainConfig",
    "TrialConfig",
    "VLMConfig",
    "check_field",
    "check_value",
    "explain",
    "field_names",
]
