"""How a trial that measures time does so."""

from typing import Literal

from pydantic import Field

from foresight.config.part import Part


class TimingConfig(Part):
    batch_size: int = Field(1, ge=1)  # pictures that pass the pipeline at once
    precision: Literal["fp32", "bf16"] = "fp32"  # of weights and activations, encoders included
    n_warmup: int = Field(5, ge=1)  # passes that are not counted
    n_repeats: int = Field(30, ge=4)  # passes that are; quartiles need some
