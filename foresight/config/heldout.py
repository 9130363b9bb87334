"""Further sets of pictures and clips that a finished model is measured on, beside the test split of its own data."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from foresight.config.data import CLIP_DATA, CLIP_FRAMES, DataConfig
from foresight.config.part import Part, refuse_unread

HeldoutName = Literal["clips", "ssv2", "davis", "coco"]  # names of data sets
HELDOUT_SETS: tuple[HeldoutName, ...] = ("clips", "ssv2", "davis", "coco")
FOLDERS = ("ssv2", "davis", "coco")  # those that are read from one


class HeldoutConfig(Part):
    """How many pictures or clips of each data set; 0: none. Nothing of them is trained on."""

    clips: int = Field(0, ge=0)
    ssv2: int = Field(0, ge=0)
    ssv2_fingerprint: str = ""  # content hash of the folder
    davis: int = Field(0, ge=0)
    davis_fingerprint: str = ""
    coco: int = Field(0, ge=0)
    coco_fingerprint: str = ""

    @model_validator(mode="after")
    def check_combination(self) -> Self:
        for name in FOLDERS:
            if not getattr(self, name):
                refuse_unread(f"heldout.{name} 0", self, (f"{name}_fingerprint",))
        return self

    def data(self, trained_on: DataConfig) -> dict[str, DataConfig]:
        """Each set that is measured, by its name, at the resolution of what was trained on; its test split is the set."""
        return {
            name: DataConfig(
                name=name,
                fingerprint=getattr(self, f"{name}_fingerprint", ""),
                n_train=1,
                n_val=1,
                n_test=getattr(self, name),
                n_frames=CLIP_FRAMES if name in CLIP_DATA else 1,
                image_px=trained_on.image_px,
                target_px=trained_on.target_px,
                seed=trained_on.seed,
            )
            for name in HELDOUT_SETS
            if getattr(self, name)
        }

    def with_set(self, name: str, data: DataConfig | None) -> "HeldoutConfig":
        """With one set as its data turned out to be, or without it."""
        changes: dict[str, Any] = {name: data.n_test if data else 0}
        if name in FOLDERS:
            changes |= {f"{name}_fingerprint": data.fingerprint if data else ""}
        return self.model_copy(update=changes)
