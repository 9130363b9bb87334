"""What a trial sees: which pictures or clips, and which frozen encoders read them."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from foresight.config.part import Part

PIXELS_PER_VLM_TOKEN = 28  # Qwen2.5-VL: 14-px patches, merged 2x2; also a multiple of DINOv2's 14-px patch
CLIP_DATA = ("clips", "ssv2", "davis")
GENERATED_DATA = ("shapes", "big_shapes", "scenes", "clips")  # the others are read from a folder
CLIP_FRAMES = 9  # of a clip, where a study of pictures is run on clips: LTX-Video makes 8 k + 1
DATA_WITHOUT_MASKS = ("ssv2",)  # nothing of a mask or a box is learned or measured on these
# Data sets whose objects have classes, and how many a detector tells apart; a folder may leave some of COCO's unused.
N_CLASSES = {"scenes": 12, "coco": 80}
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
    # What changes training images before they are encoded, and into how many views of each: epoch e sees view (e - 1) mod
    # views. Validation and test images stay as they are.
    augmentation: Literal["none", "colour_jitter", "random_crop", "mixup"] = "none"
    views: int = Field(1, ge=1)
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

    @model_validator(mode="after")
    def check_augmentation(self) -> Self:
        if (self.augmentation == "none") != (self.views == 1):
            allowed = "be 1" if self.augmentation == "none" else "be at least 2"
            raise ValueError(f"with augmentation '{self.augmentation}' views must {allowed}, not {self.views}")
        if self.augmentation != "none" and self.name in CLIP_DATA:
            raise ValueError(f"'{self.name}' holds clips, and only pictures can be augmented")
        return self

    @property
    def n_train_rows(self) -> int:
        """Training pictures that are encoded: the images themselves, and the views of each."""
        return self.n_train if self.augmentation == "none" else self.n_train * (1 + self.views)

    @property
    def n_pictures(self) -> int:
        """Pictures that are encoded: of all three splits, views of the training ones included; every frame of a clip is one."""
        return (self.n_train_rows + self.n_val + self.n_test) * self.n_frames

    def with_name(self, name: str) -> dict[str, Any]:
        """The fields that change when another data set takes this one's place: {field: value}.

        Clips in the place of pictures are trained on as many frames, so they are fewer: features of every frame are kept.
        """
        if (name in CLIP_DATA) == (self.name in CLIP_DATA):
            return {"name": name}
        n_frames = CLIP_FRAMES if name in CLIP_DATA else 1
        return {"name": name, "n_frames": n_frames, "n_train": max(1, self.n_train * self.n_frames // n_frames)}


class VLMConfig(Part):
    checkpoint: str = "random"  # `random`: toy size, seeded weights; otherwise a Hugging Face id
    # The vision tower's tokens before or after each 2x2 of them become one, or a language-model layer of 28; a toy model
    # reads the layer at the same share of its depth.
    layer: Literal["pre_merge", "post_merge", "1", "8", "14", "21", "final"] = "final"


class DINOv2Config(Part):
    checkpoint: str = "random"  # `random`: toy size, seeded weights; otherwise timm's pretrained tag
    size: Literal["B", "L", "G"] = "L"
    layer: Literal["6", "12", "18", "final"] = "final"  # of L's 24; another size reads at the same share of its depth
