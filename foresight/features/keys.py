"""What a store entry is computed from, and so its key. Starts without torch: `--plan` counts the cached share with it."""

from dataclasses import asdict
from typing import Any, Literal, get_args

from foresight.config import TOY_LTX, DataConfig, DINOv2Config, HeldoutConfig, TrialConfig, VLMConfig
from foresight.encoders.checkpoints import weights_fingerprint
from foresight.encoders.shapes import checkpoint_name
from foresight.features.store import content_key
from foresight.models import ltx_shapes

# Raise it when the code that fills entries changes what it writes.
EXTRACTION_VERSION = 3  # 2: images hold every object; 3: a scene's mask is that of all its objects

Entry = tuple[str, dict[str, Any]]
Kind = Literal["images", "vlm", "dinov2", "ltx"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def readings(config: TrialConfig) -> dict[str, TrialConfig]:
    """The trial as it reads each of its data sets: its own under "", those that it is only measured on by their names."""
    own = config.model_copy(update={"heldout": HeldoutConfig()})
    # A reading is no trial: nothing is trained on it, so it is not checked as one.
    return {"": own} | {n: own.model_copy(update={"data": d}) for n, d in config.heldout.data(config.data).items()}


def entries_of(config: TrialConfig) -> dict[Kind, Entry]:
    """What a trial reads of its own data: `images`, `vlm` and `dinov2` unless it leaves that encoder unread.

    Besides it `ltx`, the weights of a toy decoder, which are the same for all data. Nothing if it trains nothing.
    """
    if not config.is_trained:
        return {}
    entries: dict[Kind, Entry] = {"images": images_entry(config.data)}
    if config.streams != "dinov2":
        entries["vlm"] = vlm_entry(config.data, config.vlm)
    if config.streams != "vlm":
        entries["dinov2"] = dinov2_entry(config.data, config.dinov2)
    if config.decoder.name == "ltx" and config.decoder.checkpoint == TOY_LTX:
        entries["ltx"] = ltx_entry()
    return entries


def images_entry(data: DataConfig) -> Entry:
    """The decoded, letterboxed images and their targets, masks, boxes and objects."""
    content = {"kind": "images", "version": EXTRACTION_VERSION, "data": data.model_dump(mode="json")}
    return content_key(f"images-{data.name}", content), content


def vlm_entry(data: DataConfig, vlm: VLMConfig) -> Entry:
    """Tokens of one reading of the VLM for all images of a data set."""
    content = {
        "kind": "vlm", "version": EXTRACTION_VERSION, "data": data.model_dump(mode="json"),
        "vlm": vlm.model_dump(mode="json"), "weights": weights_fingerprint(vlm.checkpoint),
    }  # fmt: skip
    return content_key(f"vlm-{vlm.layer}", content), content


def dinov2_entry(data: DataConfig, dinov2: DINOv2Config) -> Entry:
    """Patch tokens of one layer of a DINOv2 for all images of a data set."""
    content = {
        "kind": "dinov2", "version": EXTRACTION_VERSION, "data": data.model_dump(mode="json"),
        "dinov2": dinov2.model_dump(mode="json"), "weights": weights_fingerprint(checkpoint_name(dinov2)),
    }  # fmt: skip
    return content_key(f"dinov2-{dinov2.size}-{dinov2.layer}", content), content


def ltx_entry() -> Entry:
    """The toy LTX-Video's weights, as `foresight.train.ltx_toy` pretrains them."""
    content = {
        "kind": "ltx", "version": ltx_shapes.TOY_VERSION, "recipe": asdict(ltx_shapes.RECIPE),
        "vae": ltx_shapes.TOY_VAE, "transformer": ltx_shapes.TOY_TRANSFORMER,
    }  # fmt: skip
    return content_key("ltx-toy", content), content
