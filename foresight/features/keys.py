"""What a store entry is computed from, and so its key. Starts without torch: `--plan` counts the cached share with it."""

from typing import Any

from foresight.config import DataConfig, DINOv2Config, TrialConfig, VLMConfig
from foresight.encoders.checkpoints import weights_fingerprint
from foresight.encoders.shapes import checkpoint_name
from foresight.features.store import content_key

# Raise it when the code that fills entries changes what it writes.
EXTRACTION_VERSION = 1

Entry = tuple[str, dict[str, Any]]


def entries_of(config: TrialConfig) -> dict[str, Entry]:
    """What a trial reads: `images`, and `vlm` and `dinov2` unless it leaves that encoder unread."""
    entries = {"images": images_entry(config.data)}
    if config.streams != "dinov2":
        entries["vlm"] = vlm_entry(config.data, config.vlm)
    if config.streams != "vlm":
        entries["dinov2"] = dinov2_entry(config.data, config.dinov2)
    return entries


def images_entry(data: DataConfig) -> Entry:
    """The decoded, letterboxed images and their targets, masks and boxes."""
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
