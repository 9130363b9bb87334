import io

import numpy as np
import pytest
import torch
from PIL import Image
from small_trials import fill, small

from foresight.boxes import xyxy_to_cxcywh
from foresight.config import TrialConfig
from foresight.features.stage import StagedData, stage
from foresight.features.store import ArrayStore
from foresight.metrics import METRICS
from foresight.runlog import check_row, config_columns
from foresight.train import probe as probe_task
from foresight.train.loop import train
from foresight.train.probe import SpatialProbe
from foresight.train.probe_pictures import CELL_PX, GAP_PX, LEGEND_PX, principal_colours
from foresight.train.sensitivity import check_sensitivity, probe_config
from foresight.train.size import measure_size
from foresight.train.task import Context
from foresight.train.trial import probe_gradients, run_trial, shapes_of
from search_spaces import p2_spatial_probe

METRIC_NAMES = ["probe_box_iou", "iou_above_50", "iou_above_75", "centre_error", "size_error"]
TINY, FULL = ({arm.name: arm.config for arm in p2_spatial_probe.space(scale).arms()} for scale in ("tiny", "full"))


def small_probe(streams: str = "dinov2", **fields) -> TrialConfig:
    """A probe on a few small images; `train__lr=0.1` is its field `train.lr`."""
    data, training = small().data, small().train
    start = TrialConfig(task="probe", streams=streams, data=data, train=training)
    return start.with_fields({name.replace("__", "."): value for name, value in fields.items()})


@pytest.fixture(scope="module")
def arms(tmp_path_factory) -> tuple[dict[str, TrialConfig], ArrayStore]:
    """The arms of the study at tiny scale on a handful of small pictures, and a store that holds them."""
    small_arms = {name: probe_config(config).with_fields({"data.image_px": 56}) for name, config in TINY.items()}
    return small_arms, fill(ArrayStore(tmp_path_factory.mktemp("probes")), *small_arms.values())


@pytest.fixture(params=["dinov2", "vlm"])
def config(request) -> TrialConfig:
    return small_probe(request.param)


@pytest.fixture
def staged(config, store) -> StagedData:
    return stage(config, store, "cpu")


def finish(config, data, lpips):
    running = run_trial(config, data, Context("cpu", lpips))
    while True:
        try:
            next(running)
        except StopIteration as end:
            return end.value


def test_a_probe_learns_eight_boxes_by_heart(config, staged):
    config = config.with_fields({"train.epochs": 150, "train.batch_size": 8, "train.lr": 3e-3})
    task = SpatialProbe(config, Context("cpu"))
    model = task.build(shapes_of(staged))
    rows = list(train(task, model, staged))
    assert set(rows[0]) == {"epoch", "step", "wall_s", "train/loss", "val/loss", "val/probe_box_iou"}
    assert task.validate(model, staged.train)["probe_box_iou"] > 0.9


def test_a_trial_leaves_a_row_samples_and_pictures(config, staged, lpips):
    result = finish(config, staged, lpips)
    identity = {"key": "k", "sweep": "s", "arm": "a", "seed": 0, "status": "complete", "provenance": "trained"}
    check_row(identity | config_columns(config.flat()) | result.columns)
    assert list(result.samples) == ["sample_hash", "split", "scene", *METRIC_NAMES]
    assert list(result.samples["sample_hash"]) == list(staged.test.sample_hash)
    for name in METRIC_NAMES:
        assert result.columns[f"test/{name}"] == pytest.approx(result.samples[name].mean())
    assert result.columns["env/metric_ids"] == " ".join(METRICS[name].id for name in METRIC_NAMES)
    assert (result.columns["cost/params_decoder"], result.columns["cost/budget_params"]) == (0, None)
    assert result.columns["cost/params_trained"] == measure_size(config)["params_trained"]
    assert result.columns["cost/flops"] == measure_size(config)["flops"] > 0
    assert set(result.pictures) == {"examples"}


def test_the_trivial_predictor_is_the_mean_training_box(config, staged, lpips):
    columns = finish(config, staged, lpips).columns
    trivial = xyxy_to_cxcywh(staged.train.boxes_xyxy_N4).mean(dim=0)
    true = xyxy_to_cxcywh(staged.test.boxes_xyxy_N4)
    expected = (true[:, :2] - trivial[:2]).norm(dim=1).mean().item()
    assert {name for name in columns if name.startswith("baseline/")} == {
        f"baseline/mean_box/{n}" for n in METRIC_NAMES
    }
    assert columns["baseline/mean_box/centre_error"] == pytest.approx(expected, rel=1e-5)


def test_boxes_are_the_same_in_batches_of_any_size(config, staged, monkeypatch):
    task = SpatialProbe(config, Context("cpu"))
    model = task.build(shapes_of(staged))
    whole = task.output(model, staged.test)
    monkeypatch.setattr(probe_task, "EVAL_BATCH", 2)
    assert torch.allclose(task.output(model, staged.test), whole, rtol=0, atol=1e-6)


def test_a_gradient_reaches_every_parameter(config, staged):
    task = SpatialProbe(config, Context("cpu"))
    model = task.build(shapes_of(staged))
    assert probe_gradients(task, model, staged) == {name for name, _ in model.named_parameters()}


def test_every_source_of_the_study_moves_the_boxes(arms):
    changes = check_sensitivity(*arms, Context("cpu"))
    assert list(changes) == list(TINY)[1:]
    assert all(0.001 < change <= 1 for change in changes.values())


@pytest.mark.parametrize("arm", TINY)
def test_a_staged_source_has_the_declared_shape(arms, arm):
    configs, store = arms
    data = stage(configs[arm], store, "cpu")
    measured = SpatialProbe(configs[arm], Context("cpu")).build(shapes_of(data))
    assert sum(p.numel() for p in measured.parameters()) == measure_size(configs[arm])["params_trained"]


@pytest.mark.parametrize("arm", FULL)
def test_full_scale_probes_differ_in_their_projection_alone(arm):
    dim = {"B": 768, "L": 1024, "G": 1536}[FULL[arm].dinov2.size]
    if FULL[arm].streams == "vlm":
        dim = 1280 if FULL[arm].vlm.layer == "pre_merge" else 3584
    shared = measure_size(FULL["baseline"])["params_trained"] - 512 * 1024
    assert measure_size(FULL[arm])["params_trained"] == shared + 512 * dim


def test_the_examples_show_the_pictures_above_their_tokens(config, staged):
    task = SpatialProbe(config, Context("cpu"))
    boxes = torch.full((2, 4), 0.5)
    sheet = Image.open(io.BytesIO(task.draw_examples(staged.test, torch.arange(2), boxes)))
    pitch = CELL_PX + GAP_PX
    assert sheet.size == (2 * pitch + GAP_PX, LEGEND_PX + 2 * pitch)
    assert "predicted" in sheet.text["Caption"]
    pixels = np.asarray(sheet)
    corner = pixels[LEGEND_PX, GAP_PX + pitch]  # of the second picture, which no box touches
    assert corner.tolist() == staged.test.targets_N3HW[1, :, 0, 0].tolist()


def test_principal_colours_tell_an_object_from_its_ground_and_leave_padding_grey():
    tokens = 0.01 * torch.randn(2, 16, 8, generator=torch.Generator().manual_seed(0))
    tokens[:, 5] += torch.arange(8.0)
    valid = torch.ones(2, 16, dtype=torch.bool)
    valid[1, 12:] = False
    tokens[1, 12:] = 1e3
    colours = principal_colours(tokens, valid).flatten(1, 2)
    assert colours.shape == (2, 16, 3)
    assert ((colours >= 0) & (colours <= 1)).all()
    others = [i for i in range(12) if i != 5]
    assert (colours[:, 5, 0] - colours[:, others, 0].amax(dim=1) > 0.5).all()
    assert (colours[1, 12:] == colours[1, 12]).all()


@pytest.mark.parametrize("fixed", [{}, {"tokens": 0.0}])
def test_tokens_that_are_all_alike_have_colours_too(fixed):
    assert principal_colours(torch.full((2, 4, 8), fixed.get("tokens", 1.0)), None).isfinite().all()
