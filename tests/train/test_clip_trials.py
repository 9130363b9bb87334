"""Trials on clips: metrics are means over the frames of a clip, so that n counts clips; without masks none of a mask."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_trials import fill, small

from foresight.config import TrialConfig
from foresight.data import resolve_data
from foresight.errors import RequestError
from foresight.features.extract import compute
from foresight.features.requests import missing_requests
from foresight.features.stage import StagedData, stage
from foresight.features.store import ArrayStore
from foresight.metrics import METRICS_OF_MASKS
from foresight.train.measure import mean_over_frames, measure_split, predict_with, sample_batches
from foresight.train.reconstruction import Reconstruction
from foresight.train.task import Context
from foresight.train.trial import TrialResult, run_trial, shapes_of

N_FRAMES = 4
CLIPS = small(data__name="clips", data__n_frames=N_FRAMES, data__n_train=3, data__n_val=1, data__n_test=3)
TEMPORAL = "temporal_lpips_random_trunk_variance"


def finish(config: TrialConfig, data: StagedData, lpips) -> TrialResult:
    running = run_trial(config, data, Context("cpu", lpips))
    while True:
        try:
            next(running)
        except StopIteration as end:
            return end.value


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> StagedData:
    return stage(CLIPS, fill(ArrayStore(tmp_path_factory.mktemp("cache")), CLIPS), "cpu")


@pytest.fixture(scope="module")
def result(data, lpips) -> TrialResult:
    return finish(CLIPS, data, lpips)


def test_a_row_of_the_samples_is_a_clip(data, result):
    assert list(result.samples["sample_hash"]) == list(data.test.sample_hash)
    assert list(result.samples["scene"]) == list(data.test.scene)
    assert [result.columns[f"data/n_{split}"] for split in ("train", "val", "test")] == [3, 1, 3]


def test_a_clips_value_is_the_mean_over_its_frames(data, lpips):
    predict = predict_with(Reconstruction(CLIPS, Context("cpu")).build(shapes_of(data)), data.test, "cpu", "fp32")
    clips = measure_split(predict, data.test, "test", lpips, 64)
    rows = np.arange(len(data.test)).astype(str)
    pictures = replace(data.test, n_frames=1, sample_hash=rows, scene=rows)  # the same rows as pictures of their own
    frames = measure_split(predict, pictures, "test", lpips, 64)
    assert (len(clips), len(frames)) == (3, 12)
    assert TEMPORAL in clips
    assert TEMPORAL not in frames
    for name in ("mse", "ssim", "mask_iou", "edge_f1"):
        expected = frames[name].to_numpy().reshape(-1, N_FRAMES).mean(axis=1)
        assert clips[name].tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_what_is_not_defined_in_a_frame_does_not_count():
    values = torch.tensor([0.5, math.nan, 0.7, math.nan, math.nan, math.nan])
    clips = mean_over_frames(values, 3)
    assert clips[0].item() == pytest.approx(0.6)
    assert clips[1].isnan()
    assert mean_over_frames(values[:2], 1)[0] == 0.5


def test_no_batch_cuts_a_clip(data):
    for batch_size in (1, 4, 6, 11, 64):
        batches = list(sample_batches(data.test, batch_size))
        assert torch.cat(batches).tolist() == list(range(12))
        assert all(len(batch) % N_FRAMES == 0 for batch in batches)


def test_change_over_time_is_measured_of_clips_for_the_model_and_every_trivial_predictor(result):
    assert result.columns[f"test/{TEMPORAL}"] == pytest.approx(result.samples[TEMPORAL].mean())
    assert result.columns["baseline/mean_image/" + TEMPORAL] == 0  # one picture for every frame never changes


def test_a_model_that_flickers_has_a_higher_variance_over_time(data, lpips):
    still = data.test.targets_N3HW[:1].float() / 255

    def flickers(index):
        odd = (index % 2 == 1).float()[:, None, None, None] * (index > 1).float()[:, None, None, None]
        return still * (1 - odd) + (1 - still) * odd, torch.zeros(len(index), 32, 32)

    def stands(index):
        return still.expand(len(index), -1, -1, -1), torch.zeros(len(index), 32, 32)

    uneven, even = (measure_split(p, data.test, "test", lpips, 64)[TEMPORAL] for p in (flickers, stands))
    assert (even == 0).all()
    assert uneven[0] > 0


@pytest.fixture
def ssv2_root(tmp_path, monkeypatch) -> Path:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "data")
    from clip_writer import Ssv2Writer

    writer = Ssv2Writer(tmp_path / "ssv2")
    for number in range(4):
        writer.add("train", number)
    for number in (4, 5):
        writer.add("validation", number)
    return writer.write()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_clips_without_masks_train_and_leave_every_metric_of_a_mask_out(ssv2_root, tmp_path, lpips):
    wanted = CLIPS.data.model_copy(update={"name": "ssv2", "n_test": 2})
    resolved = resolve_data(wanted, ssv2_root)
    config = CLIPS.with_fields({f"data.{name}": value for name, value in resolved.model_dump().items()})
    store = ArrayStore(tmp_path / "cache")
    for requests in missing_requests([config], store):
        for request in requests:
            compute(request, store, {"ssv2": ssv2_root})
    result = finish(config, stage(config, store, "cpu"), lpips)
    measured = {name.rpartition("/")[2] for name in result.columns if name.startswith(("test/", "val/", "baseline/"))}
    assert not measured & {*METRICS_OF_MASKS, "mask_bce"}
    assert {"mse", "ssim", TEMPORAL} <= measured
    assert not any(name.startswith("baseline/centred_disc/") for name in result.columns)
    assert not set(METRICS_OF_MASKS) & set(result.samples)
    assert all(np.isfinite(row["train/loss"]) and "train/mask_bce" not in row for row in result.epochs)
    assert len(result.samples) == 2


def test_the_weight_of_a_mask_loss_that_nothing_reads_is_refused():
    with pytest.raises(RequestError, match=r"a trial on 'ssv2', which has no masks, does not read 'loss\.mask_weight'"):
        CLIPS.with_fields({"data.name": "ssv2", "loss.mask_weight": 0.3})
