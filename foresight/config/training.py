"""How a trial is trained."""

from typing import Literal, Self

from pydantic import Field, model_validator

from foresight.config.part import Part, refuse_unread

# What a loss or a schedule does not read must keep its default, so that no arm differs in name only.
FIELDS_IGNORED_BY_LOSS: dict[str, tuple[str, ...]] = {
    "mse_l1": (),
    "lpips": ("l1_weight",),
    "lpips_l2": ("l1_weight",),
    "lpips_ssim": ("l1_weight",),
    "lpips_multiscale": ("l1_weight",),
    "two_stage": ("l1_weight", "mask_weight"),  # its weights are those of the protocol
}

FIELDS_IGNORED_BY_SCHEDULE: dict[str, tuple[str, ...]] = {
    "constant": ("warmup_frac", "patience"),
    "cosine": ("warmup_frac", "patience"),
    "warmup_cosine": ("patience",),
    "cyclic": ("warmup_frac", "patience"),
    "plateau": ("warmup_frac",),  # its first epoch is the warm-up
}


class LossConfig(Part):
    """What a reconstruction minimises; the formulas are in `foresight.train.losses`."""

    name: Literal["mse_l1", "lpips", "lpips_l2", "lpips_ssim", "lpips_multiscale", "two_stage"] = "mse_l1"
    l1_weight: float = Field(0.1, ge=0)  # of the mean absolute error
    mask_weight: float = Field(0.1, gt=0)  # of the mask's binary cross-entropy

    @model_validator(mode="after")
    def check_combination(self) -> Self:
        refuse_unread(f"loss '{self.name}'", self, FIELDS_IGNORED_BY_LOSS[self.name])
        return self


class TrainConfig(Part):
    """How the weights are found; the shapes of the schedules are in `foresight.train.schedules`."""

    epochs: int = Field(10, ge=1)  # with schedule `plateau` the most there can be
    batch_size: int = Field(8, ge=1)  # images of one forward pass
    accumulate: int = Field(1, ge=1)  # forward passes of one optimiser step
    lr: float = Field(3e-3, gt=0)  # peak learning rate of AdamW
    weight_decay: float = Field(0.01, ge=0)
    schedule: Literal["constant", "cosine", "warmup_cosine", "cyclic", "plateau"] = "warmup_cosine"
    warmup_frac: float = Field(0.1, ge=0, lt=1)  # of `warmup_cosine`: share of the steps with a rising rate
    patience: int | None = Field(None, ge=1)  # of `plateau`: epochs without a better val/loss that make one
    grad_clip: float = Field(1.0, gt=0)  # largest gradient norm
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: autocast of the forward pass

    @model_validator(mode="after")
    def check_combination(self) -> Self:
        refuse_unread(f"schedule '{self.schedule}'", self, FIELDS_IGNORED_BY_SCHEDULE[self.schedule])
        if self.schedule == "plateau" and self.patience is None:
            raise ValueError("schedule 'plateau' needs patience, the epochs without a better val/loss that make one")
        return self
