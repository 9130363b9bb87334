import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from foresight.config import (
    FIELDS_IGNORED_BY_FUSION,
    FIELDS_IGNORED_BY_SCHEDULE,
    FIELDS_READ_BY_DECODER,
    N_CLASSES,
    DataConfig,
    DecoderConfig,
    FusionConfig,
    Part,
    TrainConfig,
    TrialConfig,
    explain,
    field_names,
    trial,
)
from foresight.data.scenes import CLASSES
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


@pytest.mark.parametrize("field", field_names())
def test_every_field_changes_the_key(field):
    changed = start(field).with_fields({field: OTHER_VALUES[field]})
    assert changed.flat()[field] == OTHER_VALUES[field]
    assert changed.key != start(field).key
    assert (changed.arm_key != start(field).arm_key) == (field != "seed")


def test_all_single_changes_have_keys_of_their_own():
    keys = {start(field).with_fields({field: value}).key for field, value in OTHER_VALUES.items()}
    assert len(keys) == len(OTHER_VALUES)


def test_values_of_equal_text_but_another_type_have_other_keys():
    layer = TrialConfig().with_fields({"vlm.layer": "8"})
    assert layer.key != TrialConfig().with_fields({"fusion.layers": 8}).key


def test_the_key_is_the_same_in_another_process():
    code = "from foresight.config import TrialConfig; print(TrialConfig(seed=3).with_fields({'train.lr': 1e-4}).key)"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        env={"PYTHONHASHSEED": "7"},
    )
    assert shown.stdout.strip() == TrialConfig(seed=3).with_fields({"train.lr": 1e-4}).key


def test_the_key_starts_with_a_label_people_can_read():
    config = TrialConfig(seed=3).with_fields({"fusion.strategy": "perceiver"})
    assert config.key.startswith("perceiver-s3-")
    assert config.arm_key.startswith("perceiver-")
    assert len(config.key.removeprefix("perceiver-s3-")) == 8


def test_the_label_of_an_adapter_is_its_architecture():
    config = TrialConfig(bridge="adapter", seed=3).with_fields({"adapter.architecture": "perceiver"})
    assert config.key.startswith("perceiver-s3-")
    assert config.key != TrialConfig(seed=3).with_fields({"fusion.strategy": "perceiver"}).key


def test_the_conditioner_is_the_part_that_the_bridge_names():
    fusion, adapter = (TrialConfig(bridge=bridge) for bridge in ("fusion", "adapter"))
    assert fusion.conditioner == fusion.fusion
    assert adapter.conditioner == adapter.adapter


@pytest.mark.parametrize("field", [name for name in field_names() if name.startswith(("fusion.", "adapter."))])
def test_a_field_of_the_part_that_is_not_built_must_keep_its_default(field):
    unused, name = field.split(".")
    bridge = {"fusion": "adapter", "adapter": "fusion"}[unused]
    message = refused({"bridge": bridge, field: OTHER_VALUES[field]})
    default = TrialConfig().flat()[field]
    assert f"bridge '{bridge}' does not read '{field}', so it must keep its default {default!r}" in message
    assert name in type(getattr(TrialConfig(), unused)).model_fields


def test_a_float_field_given_as_a_whole_number_is_the_same_trial():
    assert (
        TrialConfig().with_fields({"train.weight_decay": 1}).key
        == TrialConfig().with_fields({"train.weight_decay": 1.0}).key
    )


@pytest.mark.parametrize("config", [TrialConfig(), TrialConfig(scale="full", seed=5).with_fields({"fusion.heads": 8})])
def test_json_round_trip_keeps_config_and_key(config):
    again = TrialConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again == config
    assert again.key == config.key


def test_a_config_is_frozen_in_all_its_parts():
    config = TrialConfig()
    parts = [config, *(part for _, part in config if isinstance(part, Part))]
    assert len(parts) == 14
    for part in parts:
        name = next(iter(type(part).model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, name, getattr(part, name))


def test_with_fields_leaves_the_original_alone():
    config = TrialConfig()
    config.with_fields({"fusion.layers": 2, "seed": 4})
    assert config == TrialConfig()


def test_several_fields_are_checked_together():
    # Either change alone is impossible: the grid must reach the target by doubling.
    config = TrialConfig().with_fields({"data.target_px": 56, "decoder.grid": 7})
    assert (config.data.target_px, config.decoder.grid) == (56, 7)
    refused({"data.target_px": 56})
    refused({"decoder.grid": 7})


@pytest.mark.parametrize(
    ("field", "nearest"),
    [
        ("fusion.layer", "fusion.layers"),
        ("fusion.strategi", "fusion.strategy"),
        ("lr", "train.lr"),
        ("model.lr", "train.lr"),
        ("sed", "seed"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_name(field, nearest):
    message = refused({field: 1})
    assert f"unknown field '{field}'" in message
    assert f"did you mean '{nearest}" in message


def test_a_part_of_the_config_is_refused_with_its_fields():
    message = refused({"vlm": {}})
    assert "did you mean" not in message
    assert message.endswith("the fields are vlm.checkpoint, vlm.layer")


def test_a_field_far_from_all_names_is_refused_with_the_known_ones():
    message = refused({"zzz": 1})
    assert "did you mean" not in message
    assert all(name in message for name in field_names())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fusion.layers", "4"),
        ("fusion.layers", 4.0),
        ("fusion.layers", True),
        ("fusion.layers", None),
        ("fusion.layers", 0),
        ("vlm.layer", 14),
        ("train.lr", "3e-3"),
        ("train.lr", float("nan")),
        ("train.lr", float("inf")),
        ("train.lr", -1e-3),
        ("fusion.vlm_weight", 1.0),
        ("seed", -1),
        ("fusion.heads", [4]),
    ],
)
def test_a_wrong_type_or_range_is_refused_naming_field_and_value(field, value):
    message = refused({field: value})
    assert f"'{field}' cannot be {value!r}" in message


def test_an_unknown_choice_is_refused_with_the_known_ones():
    message = refused({"fusion.strategy": "crossattention"})
    assert all(name in message for name in FIELDS_IGNORED_BY_FUSION)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fusion.width": 36, "fusion.heads": 8}, "heads must divide width"),
        ({"fusion.width": 30, "fusion.heads": 2}, "multiple of 4"),
        ({"decoder.width": 36, "decoder.heads": 8}, "multiple of 4 and of heads"),
        ({"data.image_px": 100}, "multiple of 28"),
        ({"data.target_px": 36}, "multiple of 8"),
        ({"data.target_px": 48}, "power of two"),
        ({"data.target_px": 32, "decoder.grid": 64}, "power of two"),
        ({"train.schedule": "plateau"}, "needs patience"),
        ({"data.views": 2}, "with augmentation 'none' views must be 1, not 2"),
        ({"data.augmentation": "mixup"}, "with augmentation 'mixup' views must be at least 2, not 1"),
        (
            {"data.name": "clips", "data.n_frames": 9, "data.augmentation": "mixup", "data.views": 2},
            "only pictures can be augmented",
        ),
    ],
)
def test_an_impossible_combination_is_refused(changes, said):
    message = refused(changes)
    assert "impossible combination" in message
    assert said in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fusion.conditioning_dim": 32}, "fusion.conditioning_dim must be 64, not 32"),
        ({"decoder.checkpoint": "Lightricks/LTX-Video"}, "fusion.conditioning_dim must be 4096, not 64"),
        (LTX_VIDEO | {"data.target_px": 56}, "multiples of 32 px, not 56"),
        ({"data.target_px": 128}, "'big_shapes' at 64 px and nothing else, not 'big_shapes' at 128 px"),
        ({"data.name": "shapes"}, "not 'shapes' at 64 px"),
        (
            {"task": "end_to_end", "data.name": "scenes"},
            "decoder 'ltx' is read by the tasks reconstruction, not by 'end_to_end'",
        ),
        ({"task": "latency", "data.name": "shapes"}, "not by 'latency'"),
        ({"loss.mask_weight": 1.0}, "decoder 'ltx' does not read 'loss.mask_weight'"),
        ({"decoder.grid": 16}, "decoder 'ltx' does not read 'grid'"),
        ({"decoder.name": "pixel", "decoder.sampling_steps": 4}, "decoder 'pixel' does not read 'sampling_steps'"),
    ],
)
def test_what_ltx_video_cannot_read_or_draw_is_refused(changes, said):
    with pytest.raises(RequestError) as caught:
        TOY_LTX_TRIAL.with_fields({"decoder.name": "ltx"} | changes)
    assert said in str(caught.value)


def test_every_field_of_a_decoder_is_read_by_one():
    read = [name for names in FIELDS_READ_BY_DECODER.values() for name in names]
    assert sorted([*read, "name"]) == sorted(DecoderConfig.model_fields)


@pytest.mark.parametrize(
    ("strategy", "field"), [(name, field) for name, fields in FIELDS_IGNORED_BY_FUSION.items() for field in fields]
)
def test_a_field_that_the_fusion_ignores_must_keep_its_default(strategy, field):
    message = refused({"fusion.strategy": strategy, f"fusion.{field}": OTHER_VALUES[f"fusion.{field}"]})
    assert f"fusion '{strategy}' does not read '{field}'" in message


@pytest.mark.parametrize(
    ("schedule", "field"), [(name, field) for name, fields in FIELDS_IGNORED_BY_SCHEDULE.items() for field in fields]
)
def test_a_field_that_the_schedule_ignores_must_keep_its_default(schedule, field):
    patience = 5 if schedule == "plateau" else None
    value = OTHER_VALUES[f"train.{field}"]
    message = refused({"train.schedule": schedule, "train.patience": patience, f"train.{field}": value})
    assert f"schedule '{schedule}' does not read '{field}'" in message


@pytest.mark.parametrize("field", [name for name in field_names() if name.startswith("detector.")])
def test_a_reconstruction_does_not_read_the_detector(field):
    message = refused({field: OTHER_VALUES[field]})
    assert f"task 'reconstruction' does not read '{field}'" in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bridge": "adapter"}, "task 'detection' does not read 'bridge'"),
        ({"fusion.layers": 2}, "task 'detection' does not read 'fusion.layers'"),
        ({"data.name": "shapes"}, "data that does: scenes, coco"),
        ({"detector.class_loss": "focal", "detector.no_object_weight": 1.0}, "does not read 'no_object_weight'"),
        ({"detector.decoder_layers": 1, "detector.auxiliary_loss": False}, "does not read 'auxiliary_loss'"),
        ({"detector.class_cost": 0.0, "detector.l1_cost": 0.0, "detector.giou_cost": 0.0}, "nothing decides"),
        ({"detector.l1_weight": 0.0, "detector.giou_weight": 0.0}, "boxes are not trained"),
        ({"detector.width": 36, "detector.heads": 8}, "multiple of 4 and of heads"),
        ({"data.augmentation": "random_crop", "data.views": 2}, "task 'detection' does not read 'data.augmentation'"),
    ],
)
def test_a_detection_that_means_nothing_is_refused(changes, said):
    assert said in refused({"task": "detection", "data.name": "scenes"} | changes)


def test_a_detector_tells_apart_the_classes_that_scenes_have():
    assert N_CLASSES["scenes"] == len(CLASSES)


def test_every_fusion_says_which_fields_it_ignores():
    strategies = FusionConfig.model_fields["strategy"].annotation.__args__
    assert set(FIELDS_IGNORED_BY_FUSION) == set(strategies)


@pytest.mark.parametrize(
    ("given", "nearest"), [("learning_rate", None), ("lrr", "train.lr"), ("epoch", "train.epochs")]
)
def test_a_part_refuses_a_field_it_does_not_know(given, nearest):
    with pytest.raises(ValidationError) as caught:
        TrainConfig(**{given: 1})
    message = explain(caught.value)
    assert message.startswith(f"unknown field '{given}'")
    assert nearest is None or f"did you mean '{nearest}'?" in message


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"streams": "vlm", "dinov2.size": "B"}, "a trial of the VLM alone does not read 'dinov2.size'"),
        ({"streams": "dinov2", "vlm.layer": "8"}, "a trial of DINOv2 alone does not read 'vlm.layer'"),
        ({"streams": "dinov2", "fusion.vlm_weight": 0.3}, "does not read 'fusion.vlm_weight'"),
        ({"streams": "vlm", "fusion.strategy": "film"}, "fusion 'film' joins two streams"),
        (
            {"streams": "vlm", "bridge": "adapter", "adapter.architecture": "bottleneck"},
            "'bottleneck' joins two streams",
        ),
        ({"adapter.layers": 3}, "bridge 'fusion' does not read 'adapter.layers'"),
        ({"data.name": "clips"}, "'clips' holds clips, so n_frames must be at least 2, not 1"),
        ({"data.n_frames": 9}, "'shapes' holds pictures, so n_frames must be 1, not 9"),
    ],
)
def test_what_nothing_would_read_is_refused(changes, sentence):
    assert sentence in refused(changes)


def test_a_task_whose_targets_are_not_augmented_refuses_it(monkeypatch):
    monkeypatch.setattr(trial, "AUGMENTED_TASKS", ())
    message = refused({"data.augmentation": "mixup", "data.views": 2})
    assert "task 'reconstruction' does not read 'data.augmentation'" in message


@pytest.mark.parametrize(("fields", "n_rows"), [({}, 100), ({"augmentation": "mixup", "views": 3}, 400)])
def test_the_rows_that_are_encoded_are_the_images_and_their_views(fields, n_rows):
    assert DataConfig(n_train=100, **fields).n_train_rows == n_rows


@pytest.mark.parametrize(
    ("stream", "field"), [("dinov2", "vlm.layer"), ("vlm", "dinov2.size"), ("vlm", "dinov2.layer")]
)
def test_a_field_of_an_encoder_that_is_not_read_must_keep_its_default(stream, field):
    assert f"does not read '{field}'" in refused({"streams": stream, field: OTHER_VALUES[field]})


def test_a_probe_reads_one_stream():
    assert "a probe reads one stream" in refused({"task": "probe"})
    probes = [TrialConfig(task="probe", streams=streams) for streams in ("vlm", "dinov2")]
    assert probes[0].key.startswith("probe-s0-")
    assert probes[0].key != probes[1].key


@pytest.mark.parametrize("field", ["bridge", "fusion.layers", "decoder.grid", "loss.l1_weight"])
def test_a_probe_has_no_bridge(field):
    message = refused({"task": "probe", "streams": "vlm", field: OTHER_VALUES[field]})
    assert f"task 'probe' does not read '{field}'" in message


def test_only_a_probe_reads_the_probes_fields():
    assert "does not read 'probe.hidden'" in refused({"probe.hidden": 128})


@pytest.mark.parametrize("changes", [{"probe.hidden": 60, "probe.heads": 8}, {"probe.hidden": 30, "probe.heads": 2}])
def test_an_impossible_probe_is_refused(changes):
    assert "hidden must be a multiple of heads and of 4" in refused({"task": "probe", "streams": "vlm", **changes})
