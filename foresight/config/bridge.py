"""What a bridge is made of: a fusion or an adapter, and the decoder that reads its conditioning tokens."""

from typing import Literal, Self

from pydantic import Field, model_validator

from foresight.config.part import Part, refuse_unread

# Budgets of adapters are the plan's labels divided by this: a toy "10M" adapter has 100,000 parameters.
BUDGET_DIVISOR = {"tiny": 100, "full": 1}

# A field that a fusion does not read must keep its default, so that no arm differs in name only.
FIELDS_IGNORED_BY_FUSION: dict[str, tuple[str, ...]] = {
    "cross_attention": (),
    "concat": ("heads",),  # reads the streams at fixed positions, not by attention
    "film": (),
    "perceiver": (),
}
# What can work on one stream alone; the others join two streams place by place.
FUSIONS_OF_ONE_STREAM = ("cross_attention", "perceiver")
ADAPTERS_OF_ONE_STREAM = ("query", "lora", "perceiver", "moe")


class FusionConfig(Part):
    strategy: Literal["cross_attention", "concat", "film", "perceiver"] = "cross_attention"
    layers: int = Field(4, ge=1)
    queries: int = Field(64, ge=1)  # conditioning tokens handed to the decoder
    width: int = Field(32, ge=8)  # channels of the fusion module
    heads: int | None = Field(None, ge=1)  # None: one head per 64 channels, at least 4
    vlm_weight: float = Field(0.5, gt=0, lt=1)  # the VLM's share of the channels; the spatial stream gets the rest
    dropout: float = Field(0.0, ge=0, lt=1)
    conditioning_dim: int = Field(32, ge=8)  # channels of a conditioning token (4096 for LTX-Video)

    @model_validator(mode="after")
    def check_combination(self) -> Self:
        if self.width % self.n_heads:
            raise ValueError(f"heads must divide width, and {self.n_heads} does not divide {self.width}")
        if self.width % 4:
            raise ValueError(f"width must be a multiple of 4 for the 2-D sine code, not {self.width}")
        refuse_unread(f"fusion '{self.strategy}'", self, FIELDS_IGNORED_BY_FUSION[self.strategy])
        return self

    @property
    def n_heads(self) -> int:
        return self.heads or max(4, self.width // 64)


class AdapterConfig(Part):
    """The part of C2's studies: an adapter is asked for by its size, and its width follows from that."""

    architecture: Literal["query", "bottleneck", "lora", "perceiver", "moe"] = "query"
    budget_params: int = Field(100_000, ge=1)  # trained parameters, decoder apart; the width is solved from it
    layers: int = Field(2, ge=1)
    queries: int = Field(64, ge=1)  # conditioning tokens handed to the decoder
    dropout: float = Field(0.0, ge=0, lt=1)
    conditioning_dim: int = Field(32, ge=8)  # channels of a conditioning token (4096 for LTX-Video)


# The fields that each decoder reads; the others must keep their defaults.
FIELDS_READ_BY_DECODER: dict[str, tuple[str, ...]] = {
    "pixel": ("width", "heads", "grid"),
    "ltx": ("checkpoint", "pretrained", "sampling_steps"),
}
TOY_LTX = "toy"  # LTX-Video's architecture at toy size, pretrained on this machine: see foresight.train.ltx_toy
LTX_CAPTION_DIM = 4096  # channels of LTX-Video's text tokens, in whose place the conditioning tokens stand
LTX_PIXELS_PER_LATENT = 32  # side of what one latent of its VAE stands for
TOY_LTX_CAPTION_DIM = 64
TOY_LTX_WORLD = ("big_shapes", 64)  # the only data, and data.target_px, that the toy is pretrained on


class DecoderConfig(Part):
    """`pixel` is trained with the bridge. `ltx` is LTX-Video, frozen: it draws a picture out of noise, in steps."""

    name: Literal["pixel", "ltx"] = "pixel"
    width: int = Field(32, ge=8)  # channels of the position grid that reads the conditioning tokens
    heads: int = Field(4, ge=1)
    grid: int = Field(8, ge=1)  # the position grid is grid x grid; doubled until it reaches data.target_px
    checkpoint: str = TOY_LTX  # `toy`, or a Hugging Face id
    pretrained: bool = True  # False: a transformer with random weights, as a negative control; the VAE stays
    sampling_steps: int = Field(8, ge=2)  # from noise to a picture, when quality is measured

    @model_validator(mode="after")
    def check_combination(self) -> Self:
        for name, read in FIELDS_READ_BY_DECODER.items():
            if name != self.name:
                refuse_unread(f"decoder '{self.name}'", self, read)
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"width must be a multiple of 4 and of heads, got width {self.width}, heads {self.heads}")
        return self

    @property
    def caption_dim(self) -> int:
        """Channels that `ltx` reads of a conditioning token."""
        return TOY_LTX_CAPTION_DIM if self.checkpoint == TOY_LTX else LTX_CAPTION_DIM
