"""What reads one stream of features by itself, to say what can be read off it."""

from typing import Self

from pydantic import Field, model_validator

from foresight.config.part import Part


class ProbeConfig(Part):
    """A probe of one learned query. Every stream is projected to `hidden` channels first."""

    hidden: int = Field(64, ge=8)  # channels of the attention and of the head's two hidden layers
    heads: int = Field(4, ge=1)

    @model_validator(mode="after")
    def check_combination(self) -> Self:
        if self.hidden % self.heads or self.hidden % 4:
            raise ValueError(
                f"hidden must be a multiple of heads and of 4 for the 2-D sine code, got hidden {self.hidden}, "
                f"heads {self.heads}"
            )
        return self
