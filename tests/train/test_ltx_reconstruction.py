import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_trials import fill, small_ltx

from foresight.features.stage import StagedData, stage
from foresight.features.store import ArrayStore
from foresight.metrics.baselines import TRIVIAL_PREDICTORS
from foresight.metrics.evaluate import compute_picture_metrics
from foresight.models import ltx_shapes
from foresight.models.bridge import Bridge
from foresight.runlog import check_row, config_columns
from foresight.train import latency, ltx_reconstruction
from foresight.train.ltx_reconstruction import LtxReconstruction, image_noise
from foresight.train.sensitivity import check_sensitivity, probe_config
from foresight.train.size import measure_size
from foresight.train.task import Context
from foresight.train.trial import build_task, probe_gradients, run_trial, shapes_of

FEW_STEPS = ltx_shapes.ToyRecipe(n_pictures=32, vae_steps=8, vae_batch=8, transformer_steps=8, transformer_batch=8)
DRAWN = {"lpips_random_trunk", "ssim", "edge_f1", "psnr", "mse", "picture_iou"}
IDENTITY = {
    "key": "k", "sweep": "s", "arm": "a", "factor": "", "level": "", "seed": 0, "status": "complete", "error": None,
    "attempt": 1, "provenance": "trained", "schema_version": 3, "cost/latency_ms": 1.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """The entries of `small_ltx()`, its decoder hardly pretrained."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ltx_shapes, "RECIPE", FEW_STEPS)
        fill(ArrayStore(folder), small_ltx())
        yield folder


@pytest.fixture
def data(cache) -> StagedData:
    return stage(small_ltx(), ArrayStore(cache), "cpu")


@pytest.fixture(scope="module")
def context(cache, lpips) -> Context:
    return Context("cpu", lpips, cache)


def build(context: Context, data: StagedData, **fields) -> tuple[LtxReconstruction, Bridge]:
    task = build_task(small_ltx(**fields), context)
    assert isinstance(task, LtxReconstruction)
    return task, task.build(shapes_of(data))


def finish(config, data: StagedData, context: Context):
    """(the epochs, what the trial returns)"""
    running, rows = run_trial(config, data, context), []
    while True:
        try:
            rows.append(next(running))
        except StopIteration as end:
            return rows, end.value


@pytest.fixture(scope="module")
def finished(cache, context):
    data = stage(small_ltx(), ArrayStore(cache), "cpu")
    return data, *finish(small_ltx(), data, context)


def test_a_trial_leaves_a_row_of_what_was_drawn(finished):
    data, rows, result = finished
    check_row(IDENTITY | config_columns(small_ltx().flat()) | result.columns)
    assert {name.removeprefix("test/") for name in result.columns if name.startswith("test/")} == DRAWN
    baselines = {f"baseline/{name}/{metric}" for name in (*TRIVIAL_PREDICTORS, "vae_roundtrip") for metric in DRAWN}
    assert {name for name in result.columns if name.startswith("baseline/")} == baselines
    assert all(np.isfinite(result.columns[name]) for name in baselines)
    assert set(rows[0]) == {"epoch", "step", "wall_s"} | {
        f"{split}/{name}" for split in ("train", "val") for name in ("loss", "flow_matching")
    }
    assert list(result.samples["sample_hash"]) == list(data.test.sample_hash)
    assert "picture_iou/v1" in result.columns["env/metric_ids"]


def test_the_decoder_is_counted_and_never_trained_or_kept(finished, context):
    data, _, result = finished
    _, model = build(context, data)
    n_decoder = sum(p.numel() for p in model.decoder.parameters())
    n_other = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("decoder."))
    assert result.columns["cost/params_decoder"] == n_decoder
    assert result.columns["cost/params_trained"] == n_other
    assert result.columns["cost/params_total"] == data.n_encoder_params + n_decoder + n_other
    assert {name for name in result.weights if name.startswith("decoder.")} <= {
        "decoder.vae.latents_mean",
        "decoder.vae.latents_std",
    }


def test_the_gradient_reaches_the_whole_bridge_and_nothing_of_the_decoder(data, context):
    task, model = build(context, data)
    reached = probe_gradients(task, model, data)
    assert reached == {name for name, _ in model.named_parameters() if not name.startswith("decoder.")}
    before = {name: p.clone() for name, p in model.decoder.named_parameters()}
    finish(small_ltx(), data, context)  # in this process the decoder is shared between trials
    assert all(torch.equal(p, before[name]) for name, p in model.decoder.named_parameters())


def test_the_same_trial_gives_the_same_numbers_after_another(finished, context, cache):
    _, _, result = finished
    data = stage(small_ltx(), ArrayStore(cache), "cpu")
    finish(small_ltx(seed=3, decoder__pretrained=False), data, context)
    again = finish(small_ltx(), data, context)[1]
    ours, theirs = ({n: v for n, v in r.columns.items() if not n.endswith("_s")} for r in (result, again))
    assert ours == theirs
    assert result.samples.equals(again.samples)


def test_sizes_of_the_plan_are_those_measured(finished):
    planned, columns = measure_size(small_ltx()), finished[2].columns
    assert planned == {
        "params_trained": columns["cost/params_trained"],
        "params_decoder": columns["cost/params_decoder"],
        "flops": columns["cost/flops"],
    }


def test_arms_of_a_block_see_the_same_noise_and_other_blocks_another(data, context, monkeypatch):
    seen = []

    def record(decoder, latents, noise, sigma, conditioning):
        seen.append((noise, sigma))
        return conditioning.mean(dim=(1, 2))

    monkeypatch.setattr(ltx_reconstruction.LtxDecoder, "flow_matching_loss", record)
    index = torch.arange(4)
    cases = ({}, {"fusion__strategy": "film"}, {"decoder__pretrained": False}, {"seed": 1})
    for fields in cases:
        task, model = build(context, data, **fields)
        task.losses(model, data.train, index, 0.25)
    task.losses(model, data.train, index, 0.5)
    (noise, sigma), *others = seen
    for i, (other_noise, other_sigma) in enumerate(others):
        same = i < 2
        assert torch.equal(noise, other_noise) == torch.equal(sigma, other_sigma) == same
    assert ((sigma >= 0) & (sigma <= 1)).all()


def test_validation_is_the_same_whenever_it_is_asked_for_and_in_batches_of_any_size(data, context, monkeypatch):
    task, model = build(context, data)
    first = task.validate(model, data.val)
    torch.manual_seed(9)
    assert task.validate(model, data.val) == first
    monkeypatch.setattr(ltx_reconstruction, "EVAL_BATCH", 2)
    assert task.validate(model, data.val)["loss"] == pytest.approx(first["loss"], rel=1e-5)


def test_what_is_drawn_does_not_depend_on_the_batch(data, context, monkeypatch):
    task, model = build(context, data)
    whole = task.evaluate(model, data)
    monkeypatch.setattr(ltx_reconstruction, "EVAL_BATCH", 2)
    parts = task.evaluate(model, data)
    for name in DRAWN:
        assert parts.samples[name].tolist() == pytest.approx(whole.samples[name].tolist(), rel=1e-3, abs=1e-5)
        assert parts.columns[f"baseline/vae_roundtrip/{name}"] == pytest.approx(
            whole.columns[f"baseline/vae_roundtrip/{name}"], rel=1e-3
        )


def test_noise_belongs_to_the_image_or_the_clip(data):
    noise = image_noise(data.test, torch.arange(4), (4, 3))
    assert torch.equal(noise.flip(0), image_noise(data.test, torch.arange(4).flip(0), (4, 3)))
    assert not torch.equal(noise[0], noise[1])
    clips = replace(data.test, sample_hash=data.test.sample_hash[:2], n_frames=2)
    assert torch.equal(image_noise(clips, torch.arange(4), (4, 3)), noise[[0, 0, 1, 1]])


def test_a_batch_taken_in_parts_sees_the_noise_of_the_whole(data, context):
    task, model = build(context, data)
    index = torch.tensor([5, 0, 3, 6])
    parts = [task.losses(model, data.train, part, 0.25)["loss"].item() for part in index.split(2)]
    assert sum(parts) / 2 == pytest.approx(task.losses(model, data.train, index, 0.25)["loss"].item(), rel=1e-5)
    assert parts[0] != parts[1]


def test_the_ceiling_is_the_copy_of_the_vae(data, context):
    task, model = build(context, data)
    evaluation = task.evaluate(model, data)
    target = data.test.targets_N3HW.float() / 255
    copy = model.decoder.decode(model.decoder.encode(target))
    metrics = compute_picture_metrics(
        copy, target, data.test.masks_NHW, data.test.content_NHW, context.lpips, plain_ground=True
    )
    for name, values in metrics.items():
        assert evaluation.columns[f"baseline/vae_roundtrip/{name}"] == pytest.approx(values.mean().item(), rel=1e-5)


def test_the_examples_are_target_copy_and_drawing(finished):
    data, _, result = finished
    image = Image.open(io.BytesIO(result.pictures["examples"]))
    assert image.size == (5 * 64, 3 * 64)
    assert np.array_equal(np.asarray(image)[:64, 64:128], data.test.targets_N3HW[1].permute(1, 2, 0).numpy())


def test_the_negative_control_has_another_transformer_and_says_so(data, context):
    (_, model), (_, control) = build(context, data), build(context, data, decoder__pretrained=False)
    assert "random" in control.decoder.weights
    assert control.decoder.weights.startswith(model.decoder.weights)
    assert not torch.equal(control.decoder.transformer.proj_in.weight, model.decoder.transformer.proj_in.weight)
    assert torch.equal(control.decoder.vae.latents_std, model.decoder.vae.latents_std)
    assert torch.equal(control.head.weight, model.head.weight)


def test_every_arm_of_the_control_changes_what_is_drawn(cache, context):
    arms = {"baseline": probe_config(small_ltx()), "random": probe_config(small_ltx(decoder__pretrained=False))}
    store = fill(ArrayStore(cache), *arms.values())
    assert check_sensitivity(arms, store, context)["random"] > 1e-3


def test_the_latency_is_that_of_drawing(monkeypatch):
    pipeline = latency.Pipeline("cpu")
    monkeypatch.setattr(latency, "N_WARMUP", 1)
    monkeypatch.setattr(latency, "N_REPEATS", 3)
    few, many = (pipeline.measure(small_ltx(decoder__sampling_steps=n))["bridge_ms"] for n in (2, 16))
    assert many > 2 * few


def test_without_a_toy_the_trial_says_what_is_missing(data, lpips, tmp_path):
    with pytest.raises(KeyError, match="no entry ltx-toy"):
        build(Context("cpu", lpips, tmp_path), data)
