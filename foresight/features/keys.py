"""What a store entry is computed from, and so its key. Starts without torch: `--plan` counts the cached share with it."""

from dataclasses import asdict
from typing import Any

from foresight.config import TOY_LTX, DataConfig, DINOv2Config, TrialConfig, VLMConfig
from foresight.encoders.checkpoints import weights_fingerprint
from foresight.encoders.shapes import checkpoint_name
from foresight.features.store import content_key
from foresight.models import ltx_shapes

# Raise it when the code that fills entries changes what it writes.
EXTRACTION_VERSION = 1

Entry = tuple[str, dict[str, Any]]


def entries_of(config: TrialConfig) -> dict[str, Entry]:
    """What a trial reads: `images`, `vlm` and `dinov2` unless it leaves that encoder unread, and `ltx`, a toy decoder."""
    entries = {"images": images_entry(config.data)}
    if config.streams != "dinov2":
        entries["vlm"] = vlm_entry(config.data, config.vlm)
    if config.streams != "vlm":
        entries["dinov2"] = dinov2_entry(config.data, config.dinov2)
    if config.decoder.name == "ltx" and config.decoder.checkpoint == TOY_LTX:
        entries["ltx"] = ltx_entry()
    return entries


def images_entry(data: DataConfig) -> Entry:
    """The decoded, letterboxed images and their targets, masks and boxes."""
    content = {"kind": "images", "version": EXTRACTION_VERSION, "data": data.model_dump(mode="json")}
    return content_key(f"images-{data.name}", content), content


def vlm_entry(data: DataConfig, vlm: VLMConfig) -> Entry:
    """Hidden states of one layer of the VLM for all images of a data set."""
    content = {
        "kind": "vlm", "version": EXTRACTION_VERSION, "data": data.model_dump(mode="json"),
        "vlm": vlm.model_dump(mode="json"), "weights": weights_fingerprint(vlm.checkpoint),
    }  # fmt: skip
    return content_key(f"vlm-{vlm.layer}", content), content


def dinov2_entry(data: DataConfig, dinov2: DINOv2Config) -> Entry:
    """Patch tokens of one DINOv2 for all images of a data set."""
    content = {
        "kind": "dinov2", "version": EXTRACTION_VERSION, "data": data.model_dump(mode="json"),
        "dinov2": dinov2.model_dump(mode="json"), "weights": weights_fingerprint(checkpoint_name(dinov2)),
    }  # fmt: skip
    return content_key(f"dinov2-{dinov2.size}", content), content


def ltx_entry() -> Entry:
    """The toy LTX-Video's weights, as `foresight.train.ltx_toy` pretrains them."""
    content = {
        "kind": "ltx", "version": ltx_shapes.TOY_VERSION, "recipe": asdict(ltx_shapes.RECIPE),
        "vae": ltx_shapes.TOY_VAE, "transformer": ltx_shapes.TOY_TRANSFORMER,
    }  # fmt: skip
    return content_key("ltx-toy", content), content
