"""TrialConfig: everything that may change a trial's numbers, and the key that is a hash over the whole of it."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from foresight.config.bridge import (
    ADAPTERS_OF_ONE_STREAM,
    FUSIONS_OF_ONE_STREAM,
    LTX_PIXELS_PER_LATENT,
    TOY_LTX,
    TOY_LTX_WORLD,
    AdapterConfig,
    DecoderConfig,
    FusionConfig,
)
from foresight.config.data import CLIP_DATA, DATA_WITHOUT_MASKS, N_CLASSES, DataConfig, DINOv2Config, VLMConfig
from foresight.config.detector import DetectorConfig
from foresight.config.heldout import HeldoutConfig
from foresight.config.part import Part, refuse_unread
from foresight.config.probe import ProbeConfig
from foresight.config.timing import TimingConfig
from foresight.config.training import LossConfig, TrainConfig
from foresight.errors import RequestError

# What an end-to-end trial has beyond the reconstruction that it starts from.
PARTS_OF_END_TO_END = ("detector", "head_train", "heldout")
# The parts that a task reads besides data, encoders and training; every other one must keep its defaults.
PARTS_READ_BY_TASK: dict[str, tuple[str, ...]] = {
    "reconstruction": ("fusion", "adapter", "decoder", "loss"),
    "detection": ("detector",),
    "probe": ("probe",),
    "end_to_end": ("fusion", "adapter", "decoder", "loss", *PARTS_OF_END_TO_END),
    "latency": ("fusion", "adapter", "decoder", "timing"),
}
AUGMENTED_TASKS = ("reconstruction",)  # whose targets `foresight.data.augment` changes with the images
LTX_TASKS = ("reconstruction",)  # with LTX-Video as their decoder: it draws no mask
OPTIONAL_PARTS = ("fusion", "adapter", "decoder", "loss", "timing", "probe", *PARTS_OF_END_TO_END)
TASKS_OF_ONE_STREAM = ("probe",)
# Tasks that train nothing and read no data set: of `data` they read the two sizes of a picture, and `train` not at all.
UNTRAINED_TASKS = ("latency",)
DATA_READ_UNTRAINED = ("image_px", "target_px")


class TrialConfig(Part):
    """Everything that may change a trial's numbers. Two configs with the same key are the same trial."""

    # What is trained and measured: see foresight.train.trial.TASKS and MEASUREMENTS.
    task: Literal["reconstruction", "probe", "detection", "end_to_end", "latency"] = "reconstruction"
    scale: Literal["tiny", "full"] = "tiny"
    data: DataConfig = DataConfig()
    vlm: VLMConfig = VLMConfig()
    dinov2: DINOv2Config = DINOv2Config()
    streams: Literal["both", "vlm", "dinov2"] = (
        "both"  # which encoders are read; the layer or size of an unread one is not
    )
    bridge: Literal["fusion", "adapter"] = "fusion"  # which of the next two is built; the other keeps its defaults
    fusion: FusionConfig = FusionConfig()
    adapter: AdapterConfig = AdapterConfig()
    decoder: DecoderConfig = DecoderConfig()
    loss: LossConfig = LossConfig()
    timing: TimingConfig = TimingConfig()
    detector: DetectorConfig = DetectorConfig()
    probe: ProbeConfig = ProbeConfig()
    train: TrainConfig = TrainConfig()
    head_train: TrainConfig = TrainConfig()  # how a head is trained on the tokens of a bridge that is trained already
    heldout: HeldoutConfig = HeldoutConfig()
    seed: int = Field(0, ge=0)  # initialisation, data order and dropout; a block is one seed across all arms

    @model_validator(mode="after")
    def check_combination(self) -> Self:
        self._check_parts()
        self._check_streams()
        if "decoder" in PARTS_READ_BY_TASK[self.task]:
            self._check_ltx() if self.decoder.name == "ltx" else self._check_grid()
        return self

    def _check_grid(self) -> None:
        doublings = self.data.target_px / self.decoder.grid
        if doublings < 1 or doublings != 2 ** int(doublings).bit_length() / 2:
            raise ValueError(
                "data.target_px must be decoder.grid times a power of two, got "
                f"{self.data.target_px} and {self.decoder.grid}"
            )

    def _check_ltx(self) -> None:
        """What LTX-Video can read and draw. It is frozen and has a loss of its own, flow matching."""
        if self.task not in LTX_TASKS:
            raise ValueError(f"decoder 'ltx' is read by the tasks {', '.join(LTX_TASKS)}, not by '{self.task}'")
        refuse_unread("decoder 'ltx'", self.loss, path="loss.")
        conditioning_dim, caption_dim = self.conditioner.conditioning_dim, self.decoder.caption_dim
        if conditioning_dim != caption_dim:
            raise ValueError(
                f"decoder 'ltx' of checkpoint '{self.decoder.checkpoint}' reads tokens of {caption_dim} channels, so "
                f"{self.bridge}.conditioning_dim must be {caption_dim}, not {conditioning_dim}"
            )
        if self.data.target_px % LTX_PIXELS_PER_LATENT:
            raise ValueError(
                f"decoder 'ltx' draws pictures of multiples of {LTX_PIXELS_PER_LATENT} px, not {self.data.target_px}"
            )
        if self.decoder.checkpoint == TOY_LTX and (self.data.name, self.data.target_px) != TOY_LTX_WORLD:
            name, target_px = TOY_LTX_WORLD
            raise ValueError(
                f"the toy 'ltx' has learnt to draw '{name}' at {target_px} px and nothing else, "
                f"not '{self.data.name}' at {self.data.target_px} px"
            )

    def _check_parts(self) -> None:
        """Parts that nothing reads keep their defaults."""
        read = PARTS_READ_BY_TASK[self.task]
        for name in OPTIONAL_PARTS:
            if name not in read:
                refuse_unread(f"task '{self.task}'", getattr(self, name), path=f"{name}.")
        if self.task not in AUGMENTED_TASKS:
            refuse_unread(f"task '{self.task}'", self.data, ("augmentation", "views"), path="data.")
        if not self.is_trained:
            unread_data = tuple(name for name in type(self.data).model_fields if name not in DATA_READ_UNTRAINED)
            refuse_unread(f"task '{self.task}'", self.train, path="train.")
            refuse_unread(f"task '{self.task}'", self.data, unread_data, path="data.")
        if "fusion" in read:
            unread = "adapter" if self.bridge == "fusion" else "fusion"
            refuse_unread(f"bridge '{self.bridge}'", getattr(self, unread), path=f"{unread}.")
        else:
            refuse_unread(f"task '{self.task}'", self, ("bridge",))
        if self.data.name in DATA_WITHOUT_MASKS:
            refuse_unread(f"a trial on '{self.data.name}', which has no masks,", self.loss, ("mask_weight",), "loss.")
        if self.task == "probe" and self.data.name in CLIP_DATA:
            raise ValueError(f"a probe reads the box of one picture, and '{self.data.name}' holds clips")
        if "detector" in read and self.data.name not in N_CLASSES:
            raise ValueError(
                f"task '{self.task}' needs objects with classes, which '{self.data.name}' does not have; "
                f"data that does: {', '.join(N_CLASSES)}"
            )

    def _check_streams(self) -> None:
        """One stream alone needs an architecture that can do with it, and leaves the other encoder's fields alone."""
        if self.streams == "both":
            if self.task in TASKS_OF_ONE_STREAM:
                raise ValueError(f"a {self.task} reads one stream, so streams must be 'vlm' or 'dinov2', not 'both'")
            return
        if self.task == "latency":
            raise ValueError(
                f"task 'latency' sets both streams against the VLM alone, so streams cannot be '{self.streams}'"
            )
        refuse_unread(f"a trial of the stream '{self.streams}' alone", self.fusion, ("vlm_weight",), path="fusion.")
        if self.streams == "dinov2":
            refuse_unread("a trial of DINOv2 alone", self.vlm, ("layer",), path="vlm.")
        else:
            refuse_unread("a trial of the VLM alone", self.dinov2, ("size", "layer"), path="dinov2.")
        if "fusion" in PARTS_READ_BY_TASK[self.task]:
            able = FUSIONS_OF_ONE_STREAM if self.bridge == "fusion" else ADAPTERS_OF_ONE_STREAM
            if self.label not in able:
                raise ValueError(
                    f"{self.bridge} '{self.label}' joins two streams; of one stream alone: {', '.join(able)}"
                )

    def continued(self) -> "TrialConfig | None":
        """The trial whose trained model this one starts from, which its key names; None: this one starts from nothing."""
        if self.task != "end_to_end":
            return None
        own = {name: type(getattr(self, name))() for name in PARTS_OF_END_TO_END}
        return self.model_copy(update={"task": "reconstruction", **own})

    @property
    def is_trained(self) -> bool:
        """Whether the trial trains a model on a data set; if not, it measures one as it is."""
        return self.task not in UNTRAINED_TASKS

    def why_not_shared(self, n_processes: int) -> str | None:
        """Why so many processes cannot share every batch of the training; None: they can."""
        if not self.is_trained:
            return "it trains nothing"
        least = min(self.recipe.batch_size, self.data.n_train * self.data.n_frames)
        return f"its batches have {least} images" if least < n_processes else None

    @property
    def recipe(self) -> TrainConfig:
        """How the weights that this trial trains are found."""
        return self.head_train if self.task == "end_to_end" else self.train

    @property
    def runs_encoders(self) -> bool:
        """Whether the trial itself runs both encoders, whichever it reads: to time them, or to see what a picture means."""
        return self.task in ("end_to_end", "latency")

    @property
    def conditioner(self) -> FusionConfig | AdapterConfig:
        """The part that turns encoder features into conditioning tokens."""
        return self.fusion if self.bridge == "fusion" else self.adapter

    @property
    def label(self) -> str:
        """The name of the variant, for people."""
        if "fusion" not in PARTS_READ_BY_TASK[self.task]:
            return self.task
        return self.fusion.strategy if self.bridge == "fusion" else self.adapter.architecture

    @property
    def key(self) -> str:
        """`cross_attention-s3-1a2b3c4d`: a readable label and 8 hex digits of a hash over every field."""
        return self.keys_at([self.seed])[0]

    @property
    def arm_key(self) -> str:
        """As `key`, for the configuration apart from its seed."""
        return f"{self.label}-{_digest(_canonical(self.model_dump(mode='json', exclude={'seed'})))}"

    def keys_at(self, seeds: Iterable[int]) -> list[str]:
        """The keys at several seeds: of what is hashed all but the seed is written down once."""
        tree = self.model_dump(mode="json", exclude={"seed"})
        before = _canonical({name: value for name, value in tree.items() if name < "seed"})[:-1]
        after = _canonical({name: value for name, value in tree.items() if name > "seed"})[1:]
        label = self.label
        return [f"{label}-s{seed}-" + _digest(f'{before},"seed":{seed},{after}') for seed in seeds]

    def flat(self) -> dict[str, Any]:
        """Dotted field names to values: `{'fusion.layers': 4, ...}`."""
        return flatten(self.model_dump(mode="json"))

    def at_seed(self, seed: int) -> "TrialConfig":
        """The same arm in another block; not checked anew, as any seed from 0 on goes with every arm."""
        assert seed >= 0
        return self.model_copy(update={"seed": seed})

    def with_fields(self, changes: dict[str, Any]) -> "TrialConfig":
        """A copy with dotted fields replaced and everything checked again.

        Raises RequestError naming the field, what was given and what is allowed.
        """
        from foresight.config.fields import check_field, explain  # they list the fields of this class

        tree: dict[str, Any] = dict(self)  # parts that stay as they are were checked when they were made
        for field, value in changes.items():
            check_field(field)
            *parents, leaf = field.split(".")
            node = tree
            for parent in parents:
                if isinstance(node[parent], Part):
                    node[parent] = node[parent].model_dump(mode="python")
                node = node[parent]
            node[leaf] = value
        try:
            return TrialConfig.model_validate(tree)
        except ValidationError as error:
            raise RequestError(explain(error)) from error


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _canonical(tree: Any) -> str:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
