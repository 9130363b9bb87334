"""One trial for every Gate-1 metric: it starts from the trained bridge of another trial and leaves that as it is."""

import io

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from small_trials import fill, small

from foresight.config import TrialConfig
from foresight.encoders.shapes import feature_shapes
from foresight.errors import RequestError
from foresight.features.stage import StagedData, stage
from foresight.features.store import ArrayStore
from foresight.metrics import METRICS
from foresight.runlog import RunLog, check_row
from foresight.train.end_to_end import EndToEnd
from foresight.train.loop import train
from foresight.train.overhead import measure_overhead
from foresight.train.size import measure_size
from foresight.train.task import Context, TrialResult, set_hash
from foresight.train.trial import probe_gradients, run_trial, shapes_of

FIELDS = {
    "data__name": "scenes", "task": "end_to_end", "heldout__clips": 2, "head_train__epochs": 2, "head_train__batch_size": 4,
    "detector__width": 16, "detector__feedforward": 16, "detector__n_queries": 6, "detector__decoder_layers": 1,
}  # fmt: skip
CONFIG = small(**FIELDS)
OF_PICTURES = {
    "mask_iou",
    "box_iou",
    "lpips_random_trunk",
    "ssim",
    "edge_f1",
    "psnr",
    "mse",
    "semantic_consistency_toy_vlm",
}
OF_OBJECTS = {"map", "map_50", "map_75", "recall_50", "matched_iou"}
OF_TIME = {"latency_overhead", "latency_ms"}


def finish(config: TrialConfig, data: StagedData, context: Context) -> TrialResult:
    running = run_trial(config, data, context)
    while True:
        try:
            next(running)
        except StopIteration as end:
            return end.value


@pytest.fixture(scope="module")
def own_store(tmp_path_factory) -> ArrayStore:
    return fill(ArrayStore(tmp_path_factory.mktemp("cache")), CONFIG)


@pytest.fixture(scope="module")
def data(own_store) -> StagedData:
    return stage(CONFIG, own_store, "cpu")


@pytest.fixture(scope="module")
def trained(own_store, lpips) -> TrialResult:
    """The reconstruction that the trial starts from, which reads no further set."""
    return finish(CONFIG.continued(), stage(CONFIG.continued(), own_store, "cpu"), Context("cpu", lpips))


@pytest.fixture(scope="module")
def runs(tmp_path_factory, trained):
    """A folder of run logs in which some study has kept that reconstruction."""
    runs = tmp_path_factory.mktemp("runs")
    row = {
        "key": CONFIG.continued().key,
        "sweep": "s",
        "arm": "a",
        "seed": 0,
        "status": "complete",
        "provenance": "trained",
    }
    RunLog(runs / "another_study").write_trial(row, weights=safetensors.torch.save(trained.weights))
    (runs / "empty_study").mkdir()
    return runs


@pytest.fixture(scope="module")
def result(data, lpips, runs) -> TrialResult:
    return finish(CONFIG, data, Context("cpu", lpips, runs=runs))


def test_every_metric_of_the_gate_comes_from_one_trial(result):
    measured = {name.removeprefix("test/") for name in result.columns if name.startswith("test/")}
    assert measured == OF_PICTURES | OF_OBJECTS | OF_TIME
    assert measured <= set(METRICS)
    assert set(result.columns["env/metric_ids"].split()) == {METRICS[name].id for name in measured}
    for name in measured:
        assert METRICS[name].low <= result.columns[f"test/{name}"] <= METRICS[name].high, name
    identity = {"key": "k", "sweep": "s", "arm": "a", "seed": 0, "status": "complete", "provenance": "trained"}
    check_row(identity | result.columns)


def test_the_pictures_are_those_of_the_trained_bridge(result, trained):
    for name in OF_PICTURES - {"semantic_consistency_toy_vlm"}:
        assert result.columns[f"test/{name}"] == pytest.approx(trained.columns[f"test/{name}"], rel=1e-5), name


def test_the_bridge_stays_as_it_was_and_the_head_learns(result, trained, data, runs):
    task = EndToEnd(CONFIG, Context("cpu", runs=runs))
    model = task.build(shapes_of(data))
    task.restore(model)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for _ in train(task, model, data):
        pass
    bridge = model.bridge.state_dict()
    assert bridge.keys() == trained.weights.keys() != set()
    assert all(torch.equal(tensor, trained.weights[name]) for name, tensor in bridge.items())
    assert set(result.weights) == {
        name for name in start if name.startswith("head.")
    }  # what is frozen is kept elsewhere
    moved = [name for name, t in result.weights.items() if not torch.equal(t, start[name])]
    assert len(moved) > 10
    assert result.epochs[-1]["train/loss"] < result.epochs[0]["train/loss"]


def test_the_head_is_trained_and_the_bridge_it_stands_on_counts_as_well(result, data):
    task = EndToEnd(CONFIG, Context("cpu"))
    model = task.build(shapes_of(data))
    assert all(name.startswith("head.") for name in probe_gradients(task, model, data))
    decoder = sum(p.numel() for p in model.bridge.decoder.parameters())
    both = sum(p.numel() for p in model.parameters()) - decoder
    assert result.columns["cost/params_trained"] == both == measure_size(CONFIG)["params_trained"]
    assert result.columns["cost/params_decoder"] == sum(p.numel() for p in model.bridge.decoder.parameters())
    assert result.columns["cost/flops"] == measure_size(CONFIG)["flops"]


def test_dropout_of_the_bridge_is_off_while_the_head_is_trained(data):
    config = small(**FIELDS, fusion__dropout=0.5)
    task = EndToEnd(config, Context("cpu"))
    model = task.build(shapes_of(data)).train()
    features = data.train.features[:2]
    assert torch.equal(model.bridge.condition(features), model.bridge.condition(features))


def test_a_further_set_is_measured_with_its_n_and_hash(result, data):
    clips = data.heldout["clips"]
    assert result.columns["heldout/clips/n"] == 2
    assert result.columns["heldout/clips/hash"] == set_hash(clips)
    rows = result.samples[result.samples["split"] == "clips"]
    assert list(rows["sample_hash"]) == list(clips.sample_hash)
    for name in (*OF_PICTURES, "temporal_lpips_random_trunk_variance"):
        assert result.columns[f"heldout/clips/{name}"] == pytest.approx(rows[name].mean())
    assert result.columns["heldout/clips/baseline/mean_image/temporal_lpips_random_trunk_variance"] == 0
    on_test = result.samples[result.samples["split"] == "test"]
    assert result.columns["test/mask_iou"] == pytest.approx(on_test["mask_iou"].mean())
    assert set(on_test["scene"]) <= {"1 object", "2 objects", "3 objects", "4 objects"}


def test_the_worst_pictures_are_ranked_and_shown(result, data):
    on_test = result.samples[result.samples["split"] == "test"]
    ranked = on_test.sort_values("worst_rank")
    assert list(ranked["worst_rank"]) == [1, 2, 3, 4, 5]  # all five: eight would be shown
    assert ranked["mask_iou"].is_monotonic_increasing
    worst = int(np.flatnonzero(on_test["worst_rank"] == 1)[0])
    pixels = np.asarray(Image.open(io.BytesIO(result.pictures["failures"])))[::2, ::2]
    assert np.array_equal(pixels[:32, :32], data.test.targets_N3HW[worst].permute(1, 2, 0).numpy())


def test_reconstructions_are_kept_as_they_are_for_figures_across_arms(result, data):
    strip = np.asarray(Image.open(io.BytesIO(result.pictures["reconstructions"])))
    assert strip.shape == (64, 5 * 32, 3)
    assert np.array_equal(strip[:32, 32:64], data.test.targets_N3HW[1].permute(1, 2, 0).numpy())


def test_the_same_trial_gives_the_same_numbers(result, data, lpips, runs):
    again = finish(CONFIG, data, Context("cpu", lpips, runs=runs))
    timed = {name for name in result.columns if name.endswith("_s") or "latency" in name}
    assert {n: v for n, v in again.columns.items() if n not in timed} == {
        n: v for n, v in result.columns.items() if n not in timed
    }


def test_a_trial_whose_bridge_nobody_trained_is_refused_in_one_sentence(data, lpips, runs, tmp_path):
    other = CONFIG.with_fields({"seed": 7})
    with pytest.raises(RequestError) as caught:
        finish(other, data, Context("cpu", lpips, runs=runs))
    message = str(caught.value)
    assert other.continued().key in message
    assert "run the study that trains it" in message
    assert "\n" not in message
    for nowhere in (tmp_path / "none", None):
        with pytest.raises(RequestError, match="starts from the trained model of"):
            finish(CONFIG, data, Context("cpu", lpips, runs=nowhere))


def test_weights_of_a_trial_that_did_not_end_are_not_taken(data, lpips, trained, tmp_path):
    directory = tmp_path / "study" / "trials" / CONFIG.continued().key
    directory.mkdir(parents=True)
    (directory / "weights.safetensors").write_bytes(safetensors.torch.save(trained.weights))
    with pytest.raises(RequestError, match="which no study in"):
        finish(CONFIG, data, Context("cpu", lpips, runs=tmp_path))


@pytest.mark.parametrize("streams", ["vlm", "dinov2"])
def test_an_arm_of_one_stream_is_timed_against_the_same_baseline(streams, lpips):
    config = small(**FIELDS, streams=streams)
    model = EndToEnd(config, Context("cpu")).build(feature_shapes(config))
    found = measure_overhead(config, model.bridge, Context("cpu", lpips))
    assert found["latency_ms"] > 0
    # The VLM is in the baseline: an arm with it can only be slower, one with a far smaller encoder need not be.
    assert found["latency_overhead"] > (0 if streams == "vlm" else -1)
