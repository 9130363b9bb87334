"""Scene types, further sets, arms side by side and failures: from a small run log written by hand."""

import io
import math

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from study_writer import CLAIM, StudyWriter, space

import analysis
from analysis.criteria import unmet_criteria
from analysis.figure_pictures import plot_failures, plot_side_by_side
from analysis.figures import draw_figures
from analysis.kept_pictures import trials_with
from analysis.report import write_report
from foresight.claim import Claim, Criterion
from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.space import Factor

STREAMS = space((Factor("layers", "fusion.layers", (2, 4)),))
ON_CLIPS = Claim(
    CLAIM.statement, "mask_iou", 0.02, 0.05, 5,
    (Criterion("mask_iou", 0.7, 0.6, 0.5), Criterion("ssim", 0.8, 0.7, 0.6, on="clips")),
)  # fmt: skip
SCENES = ("1 object", "2 objects", "1 object", "2 objects")
WIDTH = 16


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def strip(rows: int, shade: int) -> bytes:
    return png(np.full((rows * WIDTH, 4 * WIDTH, 3), shade, dtype=np.uint8))


@pytest.fixture
def written(tmp_path):
    """Two arms x 5 seeds; on one object an arm scores 0.8 + seed / 100, on two 0.4; arm layers=2 a tenth less."""

    def change(trial, row):
        worse = 0.1 if trial.arm.name != "baseline" else 0.0
        clips = {
            "heldout/clips/ssim": 0.75 + trial.seed / 1000 - worse,
            "heldout/clips/n": 6,
            "heldout/clips/hash": "ab12",
        }
        clips |= {"heldout/clips/baseline/mean_image/ssim": 0.3, "heldout/clips/edge_f1": 0.5}
        return row | clips | {"test/mask_iou": 0.6 + trial.seed / 200 - worse}

    writer = StudyWriter(tmp_path / "study", space=STREAMS, claim=ON_CLIPS, change_row=change)
    writer.write()
    log = RunLog(tmp_path / "study")
    for trial in STREAMS.trials(5):
        worse = 0.1 if trial.arm.name != "baseline" else 0.0
        of_one, of_two = 0.8 + trial.seed / 100 - worse, 0.4 - worse
        samples = pd.DataFrame(
            {
                "sample_hash": ["a", "b", "c", "d"], "split": "test", "scene": SCENES,
                "mask_iou": [of_one, of_two, of_one, of_two], "ssim": [0.5, math.nan, 0.7, math.nan],
                "worst_rank": [0, 1, 0, 2],
            }
        )  # fmt: skip
        further = pd.DataFrame({"sample_hash": ["z"], "split": ["clips"], "scene": ["still"], "mask_iou": [0.0]})
        pictures = {"reconstructions": strip(2, 100 + trial.seed), "failures": strip(4, 50), "examples": strip(4, 9)}
        row = log.read_trial(trial.key)
        log.write_trial(row, trial.config.flat(), (), pd.concat([samples, further], ignore_index=True), pictures)
    return tmp_path / "study"


def test_scene_types_by_hand(written):
    table = analysis.load(written).breakdown()
    row = table[(table["arm"] == "baseline") & (table["scene"] == "1 object") & (table["metric"] == "mask_iou")].iloc[0]
    # 0.80 to 0.84 over five seeds: mean 0.82, sd 0.0158, t 2.776: half width 0.0196.
    assert (row["n_images"], row["n_seeds"]) == (2, 5)
    assert row["mean"] == pytest.approx(0.82)
    assert row["high"] - row["mean"] == pytest.approx(2.776445 * 0.01581139 / 5**0.5, rel=1e-5)
    assert set(table["scene"]) == {"1 object", "2 objects"}  # further sets have a table of their own
    assert set(table["arm"]) == {"baseline", "fusion.layers=2"}


def test_a_scene_type_on_which_a_metric_is_not_defined_has_no_row(written):
    table = analysis.load(written).breakdown()
    assert set(table.loc[table["metric"] == "ssim", "scene"]) == {"1 object"}


def test_further_sets_by_hand(written):
    table = analysis.load(written).heldout()
    row = table[(table["arm"] == "baseline") & (table["metric"] == "ssim")].iloc[0]
    assert (row["set"], row["n"], row["hash"], row["n_seeds"]) == ("clips", 6, "ab12", 5)
    assert row["mean"] == pytest.approx(0.752)
    trivial = table[table["kind"] == "trivial"].iloc[0]
    assert (trivial["arm"], trivial["metric"], trivial["mean"]) == ("mean_image", "ssim", 0.3)


def test_a_criterion_can_be_judged_on_a_further_set(written):
    verdicts = analysis.load(written).verdicts()
    row = verdicts[(verdicts["kind"] == "criterion") & (verdicts["metric"] == "ssim")].iloc[0]
    assert (row["verdict"], row["n_test"]) == ("met", 6)
    assert "5 seeds, 6 of the further set clips" in row["sentence"]


def test_a_criterion_on_a_set_that_nobody_measured_keeps_the_gate_closed(tmp_path):
    claim = Claim("?", "mask_iou", 0.02, 0.05, 5, (Criterion("ssim", 0.8, 0.7, 0.6, on="davis"),))
    study = analysis.load(StudyWriter(tmp_path / "study", space=STREAMS, claim=claim).write())
    (sentence,) = unmet_criteria(study.verdicts())
    assert "ssim was not measured of the baseline on the further set 'davis'" in sentence


def test_a_criterion_on_an_unknown_set_is_refused_with_the_nearest():
    claim = Claim("?", "mask_iou", 0.02, 0.05, 5, (Criterion("ssim", 0.8, 0.7, 0.6, on="clip"),))
    with pytest.raises(RequestError, match=r"unknown set 'clip' .*did you mean 'clips'"):
        claim.check()


def test_a_criterion_on_the_test_split_leaves_the_claims_hash_as_it_was():
    assert all("on" not in row for row in CLAIM.to_json()["criteria"])
    assert ON_CLIPS.to_json()["criteria"][1]["on"] == "clips"


def test_side_by_side_has_the_originals_and_a_row_for_each_arm(written):
    data = analysis.load(written).data
    keys = trials_with(data, "reconstructions")
    assert list(keys) == ["baseline", "fusion.layers=2"]
    figure = plot_side_by_side(data, keys)
    assert len(figure.axes) == 3
    assert figure.axes[1].images[0].get_array().shape == (WIDTH, 4 * WIDTH, 3)
    assert "seed 0" in "".join(text.get_text() for text in figure.texts)


def test_failures_stand_with_their_numbers(written):
    data = analysis.load(written).data
    figure = plot_failures(data, trials_with(data, "failures"), "baseline")
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert len(labels) == 2
    assert all(label.startswith("0.400") for label in labels)


def test_the_report_shows_them_all(written, tmp_path):
    study = analysis.load(written)
    page = write_report(study, tmp_path / "results").read_text()
    assert {drawing.stem for drawing in draw_figures(study)} >= {"side_by_side", "failures"}
    assert "Scene types" in page
    assert "Further set: clips" in page
    assert "hash <code>ab12</code>" in page
    assert "<h3>Reconstructions</h3>" not in page  # shown in the figure, not one by one
    assert {"breakdown.csv", "heldout.csv"} <= {path.name for path in (tmp_path / "results").iterdir()}


def test_a_study_without_any_of_it_has_no_such_section(tmp_path):
    study = analysis.load(StudyWriter(tmp_path / "study", space=STREAMS).write())
    assert len(study.breakdown()) == len(study.heldout()) == 0
    page = write_report(study, tmp_path / "results").read_text()
    assert "Scene types" not in page
    assert "Further set" not in page
    assert not (tmp_path / "results" / "heldout.csv").exists()
