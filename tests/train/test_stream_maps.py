import io

import numpy as np
import pytest
import torch
from PIL import Image
from small_trials import fill, small, small_adapter

from foresight.features.stage import stage
from foresight.features.store import ArrayStore
from foresight.metrics import SHARES
from foresight.metrics.stream_shares import ShareMap
from foresight.models.position import grid_centres
from foresight.runlog import check_row
from foresight.train.reconstruction import Reconstruction
from foresight.train.stream_maps import DINOV2_RGB, VLM_RGB, map_streams, paint
from foresight.train.task import Context
from foresight.train.trial import shapes_of

INFLUENCE = {"vlm_influence_object", "vlm_influence_background"}


def bridge_of(config, data):
    return Reconstruction(config, Context("cpu")).build(shapes_of(data))


def test_the_shares_of_all_bridges_together_are_the_declared_ones(data):
    fusion = map_streams(bridge_of(small(), data), data.test, 64)
    adapter = map_streams(bridge_of(small_adapter(), data), data.test, 64)
    assert set(fusion.samples) == INFLUENCE
    assert set(adapter.samples) == set(SHARES)
    for maps in (fusion, adapter):
        assert {name.removeprefix("share/") for name in maps.columns} == set(maps.samples)
        for name, values in maps.samples.items():
            assert values.shape == (len(data.test),)
            assert maps.columns[f"share/{name}"] == pytest.approx(np.nanmean(values))
            assert 0 < maps.columns[f"share/{name}"] < 1


def test_shares_are_the_same_in_batches_of_any_size(data):
    bridge = bridge_of(small_adapter(), data)
    whole, parts = (map_streams(bridge, data.test, size).samples for size in (64, 2))
    for name, values in whole.items():
        assert parts[name].tolist() == pytest.approx(values.tolist(), rel=1e-4, nan_ok=True)


def test_a_trial_leaves_its_shares_as_columns_rows_and_a_picture(data, lpips):
    task = Reconstruction(small(), Context("cpu", lpips))
    evaluation = task.evaluate(task.build(shapes_of(data)), data)
    shares = {name for name in evaluation.columns if name.startswith("share/")}
    assert shares == {f"share/{name}" for name in INFLUENCE}
    assert set(evaluation.samples) >= INFLUENCE
    assert not any("vlm_influence" in name for name in evaluation.metric_names)  # no claim can name one
    identity = {"key": "k", "sweep": "s", "arm": "a", "seed": 0, "status": "complete", "provenance": "trained"}
    check_row(identity | evaluation.columns)
    image = Image.open(io.BytesIO(evaluation.pictures["attention"]))
    assert image.size == (5 * 64, 3 * 64)  # five test images; target, true mask, influence
    assert image.info["Caption"].startswith("Rows: target, true mask, influence.")


@pytest.mark.parametrize("stream", ["vlm", "dinov2"])
def test_one_stream_alone_shares_nothing(stream, tmp_path, lpips):
    config = small(streams=stream)
    data = stage(config, fill(ArrayStore(tmp_path), config), "cpu")
    task = Reconstruction(config, Context("cpu", lpips))
    evaluation = task.evaluate(task.build(shapes_of(data)), data)
    assert set(evaluation.pictures) == {"examples"}
    assert not any(name.startswith("share/") for name in evaluation.columns)


def test_a_share_is_painted_from_dinov2_over_white_to_the_vlm():
    share_map = ShareMap(torch.tensor([[0.0, 0.5, 1.0, torch.nan]]), grid_centres(2, 2))
    painted = paint(share_map, 4)[0].permute(1, 2, 0)  # places are 2 x 2 pixels
    assert painted[0, 0].tolist() == pytest.approx(DINOV2_RGB)
    assert painted[1, 3].tolist() == [1.0, 1.0, 1.0]
    assert painted[2, 1].tolist() == pytest.approx(VLM_RGB)
    assert painted[3, 3].tolist() == [0.0, 0.0, 0.0]
