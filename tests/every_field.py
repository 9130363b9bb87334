"""Another valid value for each field of the config, and the trial that reads the field."""

from pathlib import Path
from typing import Any

import pytest

from foresight.config import (
    DataConfig,
    FusionConfig,
    TrainConfig,
    TrialConfig,
)
from foresight.errors import RequestError

REPOSITORY = Path(__file__).parents[1]

# Another valid value for each field; a new field must be given one here, and must change the key.
OTHER_VALUES: dict[str, Any] = {
    "scale": "full",
    "data.name": "coco",
    "data.fingerprint": "0123456789abcdef",
    "data.n_train": 511,
    "data.n_val": 63,
    "data.n_test": 199,
    "data.image_px": 140,
    "data.target_px": 64,
    "data.seed": 1,
    "vlm.checkpoint": "Qwen/Qwen2.5-VL-7B-Instruct",
    "vlm.layer": "14",
    "dinov2.checkpoint": "lvd142m",
    "dinov2.size": "B",
    "dinov2.layer": "12",
    "bridge": "adapter",
    "fusion.strategy": "film",
    "fusion.layers": 2,
    "fusion.queries": 32,
    "fusion.width": 64,
    "fusion.heads": 8,
    "fusion.vlm_weight": 0.3,
    "fusion.dropout": 0.1,
    "fusion.conditioning_dim": 64,
    "adapter.architecture": "perceiver",
    "adapter.budget_params": 200_000,
    "adapter.layers": 4,
    "adapter.queries": 32,
    "adapter.dropout": 0.1,
    "adapter.conditioning_dim": 64,
    "decoder.name": "ltx",
    "decoder.checkpoint": "acme/another-ltx",
    "decoder.pretrained": False,
    "decoder.sampling_steps": 4,
    "decoder.width": 64,
    "decoder.heads": 8,
    "decoder.grid": 16,
    "train.epochs": 11,
    "train.batch_size": 4,
    "train.accumulate": 2,
    "train.schedule": "cosine",
    "train.patience": 3,
    "train.lr": 1e-3,
    "train.weight_decay": 0.0,
    "train.warmup_frac": 0.2,
    "train.grad_clip": 2.0,
    "loss.name": "two_stage",
    "loss.l1_weight": 0.2,
    "loss.mask_weight": 0.2,
    "train.precision": "bf16",
    "task": "detection",
    "detector.box_encoding": "softplus",
    "detector.reference_points": "learned",
    "detector.width": 32,
    "detector.heads": 8,
    "detector.feedforward": 64,
    "detector.encoder_layers": 0,
    "detector.decoder_layers": 3,
    "detector.n_queries": 10,
    "detector.dropout": 0.1,
    "detector.class_loss": "focal",
    "detector.no_object_weight": 1.0,
    "detector.auxiliary_loss": False,
    "detector.denoising": True,
    "detector.keep_best": True,
    "detector.class_cost": 2.0,
    "detector.l1_cost": 10.0,
    "detector.giou_cost": 5.0,
    "detector.class_weight": 2.0,
    "detector.l1_weight": 2.0,
    "detector.giou_weight": 1.0,
    "streams": "vlm",
    "probe.hidden": 128,
    "probe.heads": 8,
    "data.n_frames": 5,
    "data.augmentation": "mixup",
    "data.views": 3,
    "timing.batch_size": 4,
    "timing.precision": "bf16",
    "timing.n_warmup": 2,
    "timing.n_repeats": 10,
    "head_train.epochs": 12,
    "head_train.batch_size": 2,
    "head_train.lr": 2e-3,
    "head_train.weight_decay": 0.1,
    "head_train.warmup_frac": 0.3,
    "head_train.grad_clip": 3.0,
    "head_train.precision": "bf16",
    "head_train.accumulate": 3,
    "head_train.schedule": "constant",
    "head_train.patience": 7,
    "heldout.clips": 8,
    "heldout.ssv2": 8,
    "heldout.ssv2_fingerprint": "0123456789abcdef",
    "heldout.davis": 8,
    "heldout.davis_fingerprint": "0123456789abcdef",
    "heldout.coco": 8,
    "heldout.coco_fingerprint": "0123456789abcdef",
    "seed": 1,
}
# Parts that a task other than reconstruction reads.
TASK_OF_PART = {
    "timing": "latency",
    "probe": "probe",
    "detector": "detection",
    "head_train": "end_to_end",
    "heldout": "end_to_end",
}
# The toy LTX-Video draws these and reads tokens of these channels.
TOY_LTX_TRIAL = TrialConfig(data=DataConfig(name="big_shapes", target_px=64), fusion=FusionConfig(conditioning_dim=64))
LTX_VIDEO = {"decoder.name": "ltx", "decoder.checkpoint": "Lightricks/LTX-Video", "fusion.conditioning_dim": 4096}


def start(field: str) -> TrialConfig:
    """The defaults of a trial that reads the field."""
    if field == "data.n_frames":
        return TrialConfig(data=DataConfig(name="clips", n_frames=9))
    if field in ("data.augmentation", "data.views"):
        return TrialConfig(data=DataConfig(augmentation="random_crop", views=2))
    if field == "task":
        return TrialConfig(data=DataConfig(name="scenes"))
    if field == "decoder.name":
        return TOY_LTX_TRIAL
    if field in ("decoder.checkpoint", "decoder.pretrained", "decoder.sampling_steps"):
        return TOY_LTX_TRIAL.with_fields(LTX_VIDEO)
    task = TASK_OF_PART.get(field.split(".")[0])
    if task == "probe":
        return TrialConfig(task=task, streams="dinov2")
    if task is not None:
        start = TrialConfig(task=task, data=DataConfig(name="shapes" if task == "latency" else "scenes"))
        if field == "head_train.patience":
            return start.with_fields({"head_train.schedule": "plateau", field: 5})
        count = field.removesuffix("_fingerprint")  # of a set that nothing is taken of, no content is read
        return start if count == field else start.with_fields({count: 4})
    if field == "train.patience":
        return TrialConfig(train=TrainConfig(schedule="plateau", patience=5))
    return TrialConfig(bridge="adapter" if field.startswith("adapter.") else "fusion")


def refused(changes: dict[str, Any]) -> str:
    with pytest.raises(RequestError) as caught:
        TrialConfig().with_fields(changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)
