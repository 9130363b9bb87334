"""What a store entry is computed from, and so its key. Starts without torch: `--plan` counts the cached share with it."""

from typing import Any

from foresight.config import DataConfig, DINOv2Config, HeldoutConfig, TrialConfig, VLMConfig
from foresight.encoders.checkpoints import weights_fingerprint
from foresight.encoders.shapes import checkpoint_name
from foresight.features.store import content_key

# Raise it when the code that fills entries changes what it writes.
EXTRACTION_VERSION = 2  # 2: images hold every object

Entry = tuple[str, dict[str, Any]]


def readings(config: TrialConfig) -> dict[str, TrialConfig]:
    """The trial as it reads each of its data sets: its own under "", those that it is only measured on by their names."""
    own = config.model_copy(update={"heldout": HeldoutConfig()})
    # A reading is no trial: nothing is trained on it, so it is not checked as one.
    return {"": own} | {n: own.model_copy(update={"data": d}) for n, d in config.heldout.data(config.data).items()}


def entries_of(config: TrialConfig) -> dict[str, Entry]:
    """What a trial reads of its own data: `images`, and `vlm` and `dinov2` unless it leaves that encoder unread.

    Nothing if it trains nothing.
    """
    if not config.is_trained:
        return {}
    entries = {"images": images_entry(config.data)}
    if config.streams != "dinov2":
        entries["vlm"] = vlm_entry(config.data, config.vlm)
    if config.streams != "vlm":
        entries["dinov2"] = dinov2_entry(config.data, config.dinov2)
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
