import pytest
from every_field import LTX_VIDEO, OTHER_VALUES, TOY_LTX_TRIAL, refused
from pydantic import ValidationError

from foresight.config import (
    FIELDS_IGNORED_BY_FUSION,
    FIELDS_IGNORED_BY_SCHEDULE,
    FIELDS_READ_BY_DECODER,
    N_CLASSES,
    DataConfig,
    DecoderConfig,
    FusionConfig,
    TrainConfig,
    TrialConfig,
    explain,
    field_names,
    trial,
)
from foresight.data.scenes import CLASSES
from foresight.errors import RequestError


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
