"""ClipConfig: what says which clips a trial sees; the same fields as DataConfig, and the number of frames."""

from typing import Literal, Self

from pydantic import Field, model_validator

from foresight.config import PIXELS_PER_VLM_TOKEN, Part


class ClipConfig(Part):
    name: Literal["clips", "ssv2", "davis"] = "clips"
    fingerprint: str = ""  # content hash of a folder of clips; empty for generated clips
    n_train: int = Field(256, ge=1)  # clips trained on
    n_val: int = Field(32, ge=1)  # clips the learning curve is measured on
    n_test: int = Field(96, ge=1)  # held-out clips of every final metric
    n_frames: int = Field(9, ge=2)  # frames of a clip, evenly spaced (LTX-Video makes 8 k + 1 of them)
    image_px: int = Field(112, ge=PIXELS_PER_VLM_TOKEN)  # side of the square frame the encoders see
    target_px: int = Field(32, ge=32)  # side of the square reconstruction (LPIPS needs at least 32)
    seed: int = Field(0, ge=0)  # seed of the generated clips, or of the dealing of a folder's clips

    @model_validator(mode="after")
    def check_sizes(self) -> Self:
        if self.image_px % PIXELS_PER_VLM_TOKEN:
            raise ValueError(f"image_px must be a multiple of {PIXELS_PER_VLM_TOKEN}, not {self.image_px}")
        if self.target_px % 8:
            raise ValueError(f"target_px must be a multiple of 8, not {self.target_px}")
        return self
