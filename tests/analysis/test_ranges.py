"""Values that no metric can have: refused in a row, in a single sample and in a learning curve, whatever their mean is."""

import numpy as np
import pytest
from odd_logs import LAYERS, ODD, rewrite, samples_of
from typer.testing import CliRunner

import analysis
from analysis.__main__ import app
from analysis.gates import build_studies
from foresight.errors import RequestError
from foresight.runlog import RunLog

N_IMAGES = 200


@pytest.fixture
def study(write_study):
    """Writes three arms at two seeds and the odd one's trials anew; keywords are those of `rewrite`."""

    def write(samples=None, **columns):
        path = write_study("p2_fusion", space=LAYERS, n_seeds=2)
        rewrite(RunLog(path), ODD, samples, **columns)
        return path

    return write


def refusal(build) -> str:
    with pytest.raises(RequestError) as caught:
        build()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def curve(*values, column="val/mask_iou") -> list[dict]:
    return [{"epoch": i, "train/loss": 0.5, column: value} for i, value in enumerate(values, start=1)]


@pytest.mark.parametrize(("odd", "other"), [(1.4, 0.6), (-0.2, 1.0)])
def test_a_sample_outside_the_range_though_the_mean_is_inside(study, odd, other):
    mean = (odd + other) / 2
    path = study(samples_of([odd, other] * (N_IMAGES // 2)), **{"test/mask_iou": mean})
    message = refusal(lambda: analysis.load(path))
    assert f"has mask_iou = {odd:g} on a sample of its test split, outside the range [0, 1] of mask_iou/v1" in message
    key = RunLog(path).trials().query("arm == @ODD")["key"].iloc[0]
    assert message.startswith(f"trial {key} ")


def test_a_sample_of_a_further_set(study):
    samples = samples_of(0.5, ["c1", "c2"], psnr=[20.0, 120.0]).assign(split="clips")
    assert "has psnr = 120 on a sample of its clips split" in refusal(lambda: analysis.load(study(samples)))


def test_an_infinite_sample_of_a_metric_without_an_upper_bound(study):
    samples = samples_of(0.5, latency_ms=[1.0] * (N_IMAGES - 1) + [np.inf])
    assert "has latency_ms = inf on a sample" in refusal(lambda: analysis.load(study(samples)))


def test_samples_that_are_in_range_but_for_rounding_or_have_no_value(study):
    values = [1.0000001, np.nan, *[0.5] * (N_IMAGES - 2)]
    assert analysis.load(study(samples_of(values), **{"test/mask_iou": 0.5})).data.complete["key"].notna().all()


def test_a_derived_table_that_was_kept_is_held_to_it_as_well(study):
    path = study(samples_of([1.4, 0.6] * (N_IMAGES // 2)))
    RunLog(path).sample_summaries()
    assert (path / "consolidated_samples.parquet").exists()
    assert "mask_iou = 1.4" in refusal(lambda: analysis.load(path))


def test_a_learning_curve_outside_the_range(study, tmp_path):
    path = study(epochs=curve(0.4, 7.0, 0.6))
    message = refusal(analysis.load(path).cautions)
    assert "has val/mask_iou = 7 in epoch 2, outside the range [0, 1] of mask_iou/v1" in message
    arguments = [path.name, "--runs", str(path.parent), "--out", str(tmp_path / "results")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (2, f"{message}\n")
    assert not (tmp_path / "results").exists()  # refused before anything is written
    rolled_up = build_studies(path.parent).iloc[0]
    assert (rolled_up["state"], rolled_up["reasons"]) == ("not measured", [message])


def test_curves_of_what_has_no_range(study):
    assert len(analysis.load(study(epochs=curve(7.0, 9.0, column="val/loss"))).data.curves) == 4
    assert len(analysis.load(study(epochs=curve(0.1, float("inf"), 0.1, column="val/mse"))).data.curves) == 6
