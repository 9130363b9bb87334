"""What a trial sees: which pictures or clips, and which frozen encoders read them."""

from typing import Literal, Self

from pydantic import Field, model_validator

from foresight.config.part import Part

PIXELS_PER_VLM_TOKEN = 28  # Qwen2.5-VL: 14-px patches, merged 2x2; also a multiple of DINOv2's 14-px patch
CLIP_DATA = ("clips", "ssv2", "davis")
PLAIN_GROUND_DATA = ("big_shapes",)  # one flat background, so that an object shows in the picture itself


class DataConfig(Part):
    """Pictures, or clips of `n_frames` frames; the counts are of clips then."""

    name: Literal["shapes", "big_shapes", "scenes", "coco", "clips", "ssv2", "davis"] = "shapes"
    fingerprint: str = ""  # content hash of a folder of images or clips; empty for generated ones
    n_train: int = Field(512, ge=1)  # images trained on
    n_val: int = Field(64, ge=1)  # images the learning curve is measured on
    n_test: int = Field(200, ge=1)  # held-out images of every final metric
    n_frames: int = Field(1, ge=1)  # frames of a clip, evenly spaced (LTX-Video makes 8 k + 1 of them); 1 for pictures
    image_px: int = Field(112, ge=PIXELS_PER_VLM_TOKEN)  # side of the square image the encoders see
    target_px: int = Field(32, ge=32)  # side of the square reconstruction (LPIPS needs at least 32)
    seed: int = Field(0, ge=0)  # seed of the generated images or of the dealing of a folder; the same for every block

    @model_validator(mode="after")
    def check_sizes(self) -> Self:
        if self.image_px % PIXELS_PER_VLM_TOKEN:
            raise ValueError(f"image_px must be a multiple of {PIXELS_PER_VLM_TOKEN}, not {self.image_px}")
        if self.target_px % 8:
            raise ValueError(f"target_px must be a multiple of 8, not {self.target_px}")
        if (self.name in CLIP_DATA) != (self.n_frames > 1):
            kind = (
                "clips, so n_frames must be at least 2" if self.name in CLIP_DATA else "pictures, so n_frames must be 1"
            )
            raise ValueError(f"'{self.name}' holds {kind}, not {self.n_frames}")
        return self


class VLMConfig(Part):
    checkpoint: str = "random"  # `random`: toy size, seeded weights; otherwise a Hugging Face id
    layer: Literal["8", "14", "final"] = "final"  # of 28; a toy model reads the layer at the same share of its depth


class DINOv2Config(Part):
    checkpoint: str = "random"  # `random`: toy size, seeded weights; otherwise timm's pretrained tag
    size: Literal["B", "L", "G"] = "L"
