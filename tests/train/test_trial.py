import io

import numpy as np
import pytest
import torch
from PIL import Image
from small_trials import small, small_adapter

from foresight.features.stage import StagedData
from foresight.metrics.baselines import TRIVIAL_PREDICTORS
from foresight.metrics.evaluate import compute_image_metrics
from foresight.models.adapters import ADAPTERS
from foresight.runlog import TRIAL_COLUMNS, check_row, config_columns
from foresight.train import reconstruction, trial
from foresight.train.pictures import picture_strip
from foresight.train.reconstruction import Reconstruction
from foresight.train.size import measure_size
from foresight.train.task import Context
from foresight.train.trial import TrialResult, probe_gradients, run_trial, set_hash, shapes_of

IDENTITY = {
    "key": "k", "sweep": "s", "arm": "a", "factor": "", "level": "", "seed": 0, "status": "complete", "error": None,
    "attempt": 1, "provenance": "trained", "schema_version": 3,
}  # fmt: skip
MEASURED_AFTERWARDS = {"cost/latency_ms"}  # per arm, alone on the machine
# There is no pretrained trunk here, no plain background, and one object without class in each picture.
IMAGE_METRICS = {"mask_iou", "box_iou", "lpips_random_trunk", "ssim", "edge_f1", "psnr", "mse"}
SPLIT_METRICS = {"generalisation_gap"}  # of two splits, so neither of an image nor of a trivial predictor


def finish(config, data: StagedData, lpips) -> tuple[list[dict[str, float]], TrialResult]:
    """(the rows that a trial yields, what it returns)"""
    running, rows = run_trial(config, data, Context("cpu", lpips)), []
    while True:
        try:
            rows.append(next(running))
        except StopIteration as end:
            return rows, end.value


@pytest.fixture(scope="module")
def finished(store, lpips):
    """A finished small trial: its data, the rows it yielded and its result."""
    from foresight.features.stage import stage

    data = stage(small(), store, "cpu")
    return data, *finish(small(), data, lpips)


def test_a_trial_leaves_a_row_that_the_run_log_accepts(finished):
    _, _, result = finished
    row = IDENTITY | config_columns(small().flat()) | result.columns
    check_row(row)
    assert set(TRIAL_COLUMNS) - set(row) == MEASURED_AFTERWARDS


def test_every_declared_metric_is_measured_on_test_val_and_for_every_trivial_predictor(finished):
    columns = finished[2].columns
    measured = {f"test/{name}" for name in IMAGE_METRICS | SPLIT_METRICS}
    assert {name for name in columns if name.startswith("test/")} == measured
    baselines = {f"baseline/{predictor}/{name}" for predictor in TRIVIAL_PREDICTORS for name in IMAGE_METRICS}
    assert {name for name in columns if name.startswith("baseline/")} == baselines
    assert all(np.isfinite(columns[name]) for name in columns if name.startswith(("test/", "val/", "baseline/")))


def test_test_metrics_are_the_means_over_the_test_images(finished):
    data, _, result = finished
    assert list(result.samples["sample_hash"]) == list(data.test.sample_hash)
    assert list(result.samples["scene"]) == list(data.test.scene)
    assert set(result.samples["split"]) == {"test"}
    for name in IMAGE_METRICS:
        assert result.columns[f"test/{name}"] == pytest.approx(result.samples[name].mean(), rel=1e-6)
        assert result.samples[name].nunique() > 1 or name in ("mask_iou", "box_iou")


def test_the_last_epoch_is_the_trials_validation(finished):
    _, rows, result = finished
    assert rows == result.epochs
    assert len(rows) == small().train.epochs
    assert {name: v for name, v in result.columns.items() if name.startswith("val/")} == {
        name: v for name, v in rows[-1].items() if name.startswith("val/")
    }


def test_the_learning_curve_is_summed_up_from_the_epochs(finished):
    _, rows, result = finished
    assert {name for name in result.columns if name.startswith("train/")} == {
        "train/loss_variance",
        "train/convergence_epoch",
        "train/epochs_run",
        "train/converged",
        "train/kept_epoch",
    }
    assert result.columns["train/epochs_run"] == 2
    assert result.columns["train/converged"] is None  # its length was fixed
    first, last = (row["train/loss"] for row in rows)
    assert result.columns["train/convergence_epoch"] == (1 if first < 1.1 * last else 2)
    assert result.columns["train/loss_variance"] is None  # one epoch after the first


@pytest.mark.parametrize("architecture", ADAPTERS)
def test_a_trial_of_an_adapter_records_what_it_was_asked_to_have_and_what_it_has(data, lpips, architecture):
    config = small_adapter(adapter__architecture=architecture, train__epochs=3)
    _, result = finish(config, data, lpips)
    check_row(IDENTITY | config_columns(config.flat()) | result.columns)
    assert result.columns["cost/budget_params"] == 20_000
    assert result.columns["cost/params_trained"] == measure_size(config)["params_trained"]
    assert result.columns["cost/params_trained"] == pytest.approx(20_000, rel=0.05)
    assert result.columns["train/loss_variance"] > 0


def test_a_fusion_was_asked_for_no_size(finished):
    assert finished[2].columns["cost/budget_params"] is None


def test_measured_sizes_are_those_of_the_plan(finished):
    data, _, result = finished
    planned = measure_size(small())
    assert result.columns["cost/params_trained"] == planned["params_trained"]
    assert result.columns["cost/params_decoder"] == planned["params_decoder"]
    assert result.columns["cost/flops"] == planned["flops"]
    total = data.n_encoder_params + planned["params_trained"] + planned["params_decoder"]
    assert result.columns["cost/params_total"] == total


def test_the_row_says_which_images_it_was_measured_on(finished):
    data, _, result = finished
    counts = {f"data/n_{split}": n for split, n in (("train", 8), ("val", 3), ("test", 5))}
    assert {name: result.columns[name] for name in counts} == counts
    assert result.columns["data/test_hash"] == set_hash(data.test)
    assert result.columns["data/train_hash"] == set_hash(data.train) != set_hash(data.test)


def test_the_hash_of_a_set_knows_its_images_and_not_their_order(data):
    known = set_hash(data.test)
    data.test.sample_hash = data.test.sample_hash[::-1].copy()
    assert set_hash(data.test) == known
    data.test.sample_hash[0] = "0" * 16
    assert set_hash(data.test) != known


def test_the_same_trial_gives_the_same_columns_after_another(finished, store, lpips):
    from foresight.features.stage import stage

    data, _, result = finished
    finish(small(fusion__strategy="film", seed=3), data, lpips)
    for again_data in (data, stage(small(), store, "cpu")):
        again = finish(small(), again_data, lpips)[1]
        timed = {name for name in result.columns if name.endswith("_s")}
        ours, theirs = ({n: v for n, v in r.columns.items() if n not in timed} for r in (result, again))
        assert ours == theirs
        assert result.samples.equals(again.samples)


def test_the_generalisation_gap_is_the_loss_on_new_images_beyond_that_on_old_ones(data, lpips):
    task = Reconstruction(small(fusion__dropout=0.3), Context("cpu", lpips))
    bridge = task.build(shapes_of(data)).train()
    on_test, on_train = task.validate(bridge, data.test), task.validate(bridge, data.train)
    data.test, data.train = data.train, data.test  # eight test images, and only five of training to compare with
    swapped = task.compute_generalisation_gap(bridge, data)
    expected = on_train["mse"] + on_train["mask_bce"] - on_test["mse"] - on_test["mask_bce"]
    assert swapped == pytest.approx(expected, rel=1e-4)
    assert swapped != 0


def test_the_training_images_of_the_generalisation_gap_are_the_first(data, lpips):
    task = Reconstruction(small(), Context("cpu", lpips))
    bridge = task.build(shapes_of(data))
    gap = task.compute_generalisation_gap(bridge, data)
    data.train.targets_N3HW[len(data.test) :] = 0
    assert task.compute_generalisation_gap(bridge, data) == gap
    data.train.targets_N3HW[len(data.test) - 1] = 0
    assert task.compute_generalisation_gap(bridge, data) != gap


def test_trivial_predictors_are_scored_on_test_and_fitted_on_train(finished, lpips):
    data, _, result = finished
    fit = TRIVIAL_PREDICTORS["mean_image"]
    prediction = fit(data.train.targets_N3HW.float() / 255, data.train.masks_NHW)
    metrics = compute_image_metrics(
        prediction.picture_3HW.expand(5, -1, -1, -1), prediction.mask_prob_HW.expand(5, -1, -1),
        data.test.targets_N3HW.float() / 255, data.test.masks_NHW, data.test.boxes_xyxy_N4, data.test.content_NHW, lpips,
    )  # fmt: skip
    for name, values in metrics.items():
        assert result.columns[f"baseline/mean_image/{name}"] == pytest.approx(values.mean().item(), rel=1e-5)


def test_evaluation_is_the_same_in_batches_of_any_size(data, lpips, monkeypatch):
    task = Reconstruction(small(), Context("cpu", lpips))
    bridge = task.build(shapes_of(data))
    whole = task.evaluate(bridge, data).samples
    monkeypatch.setattr(reconstruction, "EVAL_BATCH", 2)
    parts = task.evaluate(bridge, data).samples
    for name in IMAGE_METRICS:
        assert parts[name].tolist() == pytest.approx(whole[name].tolist(), rel=1e-4, abs=1e-6)


def test_the_examples_are_target_picture_mask_and_predicted_mask(finished):
    data, _, result = finished
    image = Image.open(io.BytesIO(result.pictures["examples"]))
    assert image.size == (5 * 64, 4 * 64)  # five test images, 32 px doubled
    pixels = np.asarray(image)[::2, ::2]
    assert np.array_equal(pixels[:32, 32:64], data.test.targets_N3HW[1].permute(1, 2, 0).numpy())
    assert np.array_equal(pixels[64:96, 32:64, 0] == 255, data.test.masks_NHW[1].numpy())


def test_a_strip_of_large_pictures_is_not_enlarged():
    strip = Image.open(io.BytesIO(picture_strip([torch.zeros(3, 3, 100, 100)] * 2)))
    assert strip.size == (300, 200)


def test_shapes_are_read_off_the_staged_tokens(data):
    shapes = shapes_of(data)
    assert (shapes.vlm_dim, shapes.vlm_grid, shapes.spatial_dim, shapes.spatial_grid) == (64, 2, 64, 4)


def test_a_parameter_that_nothing_reads_ends_the_trial_before_training(data, lpips, monkeypatch):
    class WithSpare(Reconstruction):
        def assemble(self, shapes):
            bridge = super().assemble(shapes)
            bridge.spare = torch.nn.Linear(2, 2)
            return bridge

    monkeypatch.setitem(trial.TASKS, "reconstruction", WithSpare)
    monkeypatch.setattr(trial, "train", None)
    with pytest.raises(ValueError, match=r"spare\.weight"):
        next(run_trial(small(), data, Context("cpu", lpips)))


def test_probing_gradients_leaves_none_behind_and_names_what_it_reaches(data):
    task = Reconstruction(small(), Context("cpu"))
    bridge = task.build(shapes_of(data))
    bridge.head.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in bridge.state_dict().items()}
    reached = probe_gradients(task, bridge, data)
    assert {name for name, _ in bridge.named_parameters()} - reached == {"head.weight"}
    assert all(p.grad is None for p in bridge.parameters())
    assert all(torch.equal(before[name], value) for name, value in bridge.state_dict().items())
