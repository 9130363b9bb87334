"""How a trial is trained."""

from typing import Literal

from pydantic import Field

from foresight.config.part import Part


class LossConfig(Part):
    """What a reconstruction minimises: loss = MSE + l1_weight L1 + mask_weight BCE(mask)."""

    l1_weight: float = Field(0.1, ge=0)
    mask_weight: float = Field(0.1, gt=0)


class TrainConfig(Part):
    epochs: int = Field(10, ge=1)
    batch_size: int = Field(8, ge=1)
    lr: float = Field(3e-3, gt=0)  # peak learning rate of AdamW
    weight_decay: float = Field(0.01, ge=0)
    warmup_frac: float = Field(0.1, ge=0, lt=1)  # share of the steps with a rising learning rate, then cosine to 0
    grad_clip: float = Field(1.0, gt=0)  # largest gradient norm
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: autocast of the forward pass
