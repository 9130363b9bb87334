"""TrialConfig: everything that may change a trial's numbers, and the key that is a hash over the whole of it.

Configs are frozen: a changed config is a copy (`with_fields`). Unknown fields are refused. Where and how fast a trial
runs (GPUs, workers, paths) is not here and so cannot enter the key by accident: see `foresight.tuning.sweep.Placement`.
This module starts without torch, so a sweep can be listed and counted in about a second.
"""

import difflib
import hashlib
import json
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from foresight.errors import RequestError

PIXELS_PER_VLM_TOKEN = 28  # Qwen2.5-VL: 14-px patches, merged 2x2; also a multiple of DINOv2's 14-px patch

# Budgets of adapters are the plan's labels divided by this: a toy "10M" adapter has 100,000 parameters.
BUDGET_DIVISOR = {"tiny": 100, "full": 1}

# A field that a fusion does not read must keep its default, so that no arm differs in name only.
FIELDS_IGNORED_BY_FUSION: dict[str, tuple[str, ...]] = {
    "cross_attention": (),
    "concat": ("heads",),  # reads the streams at fixed positions, not by attention
    "film": (),
    "perceiver": (),
}


class Part(BaseModel):
    """A frozen record that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataConfig(Part):
    name: Literal["shapes", "coco"] = "shapes"
    fingerprint: str = ""  # content hash of a folder of images; empty for generated images
    n_train: int = Field(512, ge=1)  # images trained on
    n_val: int = Field(64, ge=1)  # images the learning curve is measured on
    n_test: int = Field(200, ge=1)  # held-out images of every final metric
    image_px: int = Field(112, ge=PIXELS_PER_VLM_TOKEN)  # side of the square image the encoders see
    target_px: int = Field(32, ge=32)  # side of the square reconstruction (LPIPS needs at least 32)
    seed: int = Field(0, ge=0)  # seed of the generated images; the same for every block

    @model_validator(mode="after")
    def check_sizes(self) -> Self:
        if self.image_px % PIXELS_PER_VLM_TOKEN:
            raise ValueError(f"image_px must be a multiple of {PIXELS_PER_VLM_TOKEN}, not {self.image_px}")
        if self.target_px % 8:
            raise ValueError(f"target_px must be a multiple of 8, not {self.target_px}")
        return self


class VLMConfig(Part):
    checkpoint: str = "random"  # `random`: toy size, seeded weights; otherwise a Hugging Face id
    layer: Literal["8", "14", "final"] = "final"  # of 28; a toy model reads the layer at the same share of its depth


class DINOv2Config(Part):
    checkpoint: str = "random"  # `random`: toy size, seeded weights; otherwise timm's pretrained tag
    size: Literal["B", "L", "G"] = "L"


class FusionConfig(Part):
    strategy: Literal["cross_attention", "concat", "film", "perceiver"] = "cross_attention"
    layers: int = Field(4, ge=1)
    queries: int = Field(64, ge=1)  # conditioning tokens handed to the decoder
    width: int = Field(32, ge=8)  # channels of the fusion module
    heads: int | None = Field(None, ge=1)  # None: one head per 64 channels, at least 4
    vlm_weight: float = Field(
        0.5, gt=0, lt=1
    )  # the VLM stream's share of the channels; the spatial stream gets the rest
    dropout: float = Field(0.0, ge=0, lt=1)
    conditioning_dim: int = Field(32, ge=8)  # channels of a conditioning token (4096 for LTX-Video)

    @model_validator(mode="after")
    def check_combination(self) -> Self:
        if self.width % self.n_heads:
            raise ValueError(f"heads must divide width, and {self.n_heads} does not divide {self.width}")
        if self.width % 4:
            raise ValueError(f"width must be a multiple of 4 for the 2-D sine code, not {self.width}")
        for name in FIELDS_IGNORED_BY_FUSION[self.strategy]:
            default = type(self).model_fields[name].default
            if getattr(self, name) != default:
                raise ValueError(
                    f"fusion '{self.strategy}' does not read '{name}', so it must keep its default "
                    f"{default!r}, not {getattr(self, name)!r}"
                )
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


class DecoderConfig(Part):
    name: Literal["pixel"] = "pixel"
    width: int = Field(32, ge=8)  # channels of the position grid that reads the conditioning tokens
    heads: int = Field(4, ge=1)
    grid: int = Field(8, ge=1)  # the position grid is grid x grid; doubled until it reaches data.target_px

    @model_validator(mode="after")
    def check_combination(self) -> Self:
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"width must be a multiple of 4 and of heads, got width {self.width}, heads {self.heads}")
        return self


class TrainConfig(Part):
    epochs: int = Field(10, ge=1)
    batch_size: int = Field(8, ge=1)
    lr: float = Field(3e-3, gt=0)  # peak learning rate of AdamW
    weight_decay: float = Field(0.01, ge=0)
    warmup_frac: float = Field(0.1, ge=0, lt=1)  # share of the steps with a rising learning rate, then cosine to 0
    grad_clip: float = Field(1.0, gt=0)  # largest gradient norm
    l1_weight: float = Field(0.1, ge=0)  # loss = MSE + l1_weight L1 + mask_weight BCE(mask)
    mask_weight: float = Field(0.1, gt=0)
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: autocast of the forward pass


class TrialConfig(Part):
    """Everything that may change a trial's numbers. Two configs with the same key are the same trial."""

    scale: Literal["tiny", "full"] = "tiny"
    data: DataConfig = DataConfig()
    vlm: VLMConfig = VLMConfig()
    dinov2: DINOv2Config = DINOv2Config()
    bridge: Literal["fusion", "adapter"] = (
        "fusion"  # which of the next two parts is built; the other keeps its defaults
    )
    fusion: FusionConfig = FusionConfig()
    adapter: AdapterConfig = AdapterConfig()
    decoder: DecoderConfig = DecoderConfig()
    train: TrainConfig = TrainConfig()
    seed: int = Field(0, ge=0)  # initialisation, data order and dropout; a block is one seed across all arms

    @model_validator(mode="after")
    def check_combination(self) -> Self:
        doublings = self.data.target_px / self.decoder.grid
        if doublings < 1 or doublings != 2 ** int(doublings).bit_length() / 2:
            raise ValueError(
                f"data.target_px must be decoder.grid times a power of two, got {self.data.target_px} and {self.decoder.grid}"
            )
        unused = "adapter" if self.bridge == "fusion" else "fusion"
        for name, value in getattr(self, unused):
            default = type(getattr(self, unused)).model_fields[name].default
            if value != default:
                raise ValueError(
                    f"bridge '{self.bridge}' does not read '{unused}.{name}', so it must keep its default "
                    f"{default!r}, not {value!r}"
                )
        return self

    @property
    def conditioner(self) -> FusionConfig | AdapterConfig:
        """The part that turns encoder features into conditioning tokens."""
        return self.fusion if self.bridge == "fusion" else self.adapter

    @property
    def label(self) -> str:
        """The name of the variant, for people."""
        return self.fusion.strategy if self.bridge == "fusion" else self.adapter.architecture

    @property
    def key(self) -> str:
        """`cross_attention-s3-1a2b3c4d`: a readable label and 8 hex digits of a hash over every field."""
        return f"{self.label}-s{self.seed}-{_digest(self.model_dump(mode='json'))}"

    @property
    def arm_key(self) -> str:
        """As `key`, for the configuration apart from its seed."""
        return f"{self.label}-{_digest(self.model_dump(mode='json', exclude={'seed'}))}"

    def flat(self) -> dict[str, Any]:
        """Dotted field names to values: `{'fusion.layers': 4, ...}`."""
        return _flatten(self.model_dump(mode="json"))

    def with_fields(self, changes: dict[str, Any]) -> "TrialConfig":
        """A copy with dotted fields replaced and everything checked again.

        Raises RequestError naming the field, what was given and what is allowed.
        """
        tree = self.model_dump(mode="python")
        for field, value in changes.items():
            check_field(field)
            *parents, leaf = field.split(".")
            node = tree
            for parent in parents:
                node = node[parent]
            node[leaf] = value
        try:
            return TrialConfig.model_validate(tree)
        except ValidationError as error:
            raise RequestError(explain(error)) from error


def field_names() -> list[str]:
    """Every dotted field that a factor can vary."""
    return list(TrialConfig().flat())


def check_field(field: str) -> None:
    """Raises RequestError with the nearest name when `field` is not a field of TrialConfig."""
    known = field_names()
    if field not in known:
        siblings = [name for name in known if name.split(".")[0] == field.split(".")[0]] or known
        raise RequestError(f"unknown field '{field}'{_nearest_field(field)}; the fields are {', '.join(siblings)}")


def explain(error: ValidationError) -> str:
    """One sentence from pydantic's error: the field, what was given, what is allowed."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    given = first["input"]
    if first["type"] == "value_error":
        return f"impossible combination in '{field or 'the trial'}': {first['msg'].removeprefix('Value error, ')}"
    if first["type"] == "extra_forbidden":
        return f"unknown field '{field}'{_nearest_field(field)}"
    return f"'{field}' cannot be {given!r} ({type(given).__name__}): {first['msg'].lower()}"


def _nearest_field(given: str) -> str:
    """As `nearest_name`, by the last part of the name: among the fields of its own part of the config if there is one."""
    known = field_names()
    if any(name.startswith(f"{given}.") for name in known):
        return ""  # a whole part of the config
    part, _, leaf = given.rpartition(".")
    siblings = [name for name in known if part and name.startswith(f"{part}.")]
    # Of two fields with the same last name the shorter is meant: 'seed' before 'data.seed'.
    by_leaf = {name.rpartition(".")[2]: name for name in sorted(siblings or known, key=len, reverse=True)}
    closest = difflib.get_close_matches(leaf, by_leaf, n=1, cutoff=0.5)
    return f" (did you mean '{by_leaf[closest[0]]}'?)" if closest else ""


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _digest(tree: Any) -> str:
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
