"""Images won and lost against the baseline, image by image and seed by seed, from samples written by hand."""

import dataclasses
import io
import math

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from study_writer import CLAIM, FACTORS, StudyWriter, space

import analysis
from analysis.figure_image_pictures import kept_strips, plot_image_pictures
from analysis.figure_per_image import plot_per_image
from analysis.per_image import describe_image_extremes, describe_per_image
from analysis.report import write_report
from foresight.runlog import RunLog

SPACE = space((FACTORS[1],))  # the baseline of 4 layers, and 2, 6, 8
# Per arm and seed, what each of four images has more than the baseline's 0.5: two circles, then two squares.
DIFFERENCES = {
    "fusion.layers=2": [[0.1, 0.2, -0.1, -0.1], [0.1, 0.2, -0.1, -0.1], [0.1, 0.2, -0.1, -0.1]],
    "fusion.layers=6": [[0.4, -0.01, -0.01, -0.01], [0.41, -0.01, -0.01, -0.01], [0.42, -0.01, -0.01, -0.01]],
    "fusion.layers=8": [[0.0, 0.0, 0.0, 0.1], [0.0, 0.0, 0.1, 0.1], [0.0, 0.1, 0.1, 0.1]],
}
SIDE = 4


def strip(caption: str, brightness: int, n_kept: int) -> bytes:
    pixels = np.full((2 * SIDE, n_kept * SIDE, 3), brightness, dtype=np.uint8)
    about = PngInfo()
    about.add_text("Caption", caption)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=about)
    return buffer.getvalue()


def write(
    root,
    metric="mask_iou",
    differences=DIFFERENCES,
    caption="Rows: target, reconstruction.",
    scene=True,
    is_rolled=False,
    n_kept=4,
):
    """Writes the study and, over each trial, its samples; `is_rolled` puts them in another order for every trial."""
    claim = dataclasses.replace(CLAIM, primary=metric, seeds=3, criteria=())
    path = StudyWriter(root, space=SPACE, claim=claim, n_seeds=3, with_latency=False).write()
    log = RunLog(path)
    for i, key in enumerate(sorted(log.statuses())):
        row = log.read_trial(key)
        more = differences.get(row["arm"], [[0.0] * 4] * 3)[row["seed"]]
        samples = pd.DataFrame({"sample_hash": list("abcd"), "split": "test", metric: 0.5 + np.array(more)})
        if scene:
            samples.insert(2, "scene", ["circle", "circle", "square", "square"])
        samples = samples.iloc[np.roll(np.arange(4), i)] if is_rolled else samples
        log.write_trial(row, samples=samples, pictures={"examples": strip(caption, 40 * i % 256, n_kept)})
    return path


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return analysis.load(write(tmp_path_factory.mktemp("images") / "runs" / "study"))


def test_shares_won_and_lost_by_hand(study):
    rows = study.per_image().set_index(["arm", "scene"])
    two = rows.loc["fusion.layers=2"]
    assert two.loc["all", ["wins", "losses", "n_images", "n_seeds"]].tolist() == [0.5, 0.5, 4, 3]
    assert two.loc["circle", ["wins", "losses"]].tolist() == [1, 0]
    assert two.loc["square", ["wins", "low", "high", "losses"]].tolist() == [0, 0, 0, 1]
    assert two.loc["all", "difference"] == pytest.approx(0.025)
    # layers 8 wins 1/4, 2/4 and 3/4 of the images and loses none: t(0.975, 2) = 4.302653, standard error 0.25 / sqrt(3)
    eight = rows.loc[("fusion.layers=8", "all")]
    assert (eight["wins"], eight["losses"]) == (0.5, 0)
    assert 4.302653 * 0.25 / math.sqrt(3) > 0.5
    assert (eight["low"], eight["high"]) == (0, 1)  # cut there
    assert rows.loc[("fusion.layers=8", "circle"), "low"] == 0
    assert eight["difference_high"] == pytest.approx(0.05 + 4.302653 * 0.025 / math.sqrt(3))


def test_images_are_paired_by_hash_and_not_by_place(tmp_path):
    rolled = analysis.load(write(tmp_path / "runs" / "study", is_rolled=True))
    row = rolled.per_image().set_index(["arm", "scene"]).loc[("fusion.layers=2", "circle")]
    assert (row["wins"], row["difference"]) == (1, pytest.approx(0.15))


def test_the_extremes_are_named_by_hash_with_their_seeds(study):
    rows = study.image_extremes().set_index(["arm", "side", "rank"])
    first = rows.loc[("fusion.layers=6", "gain", 1)]
    assert (first["sample_hash"], first["scene"], first["wins"], first["losses"]) == ("a", "circle", 3, 0)
    assert first["difference"] == pytest.approx(0.41)
    assert first["high"] == pytest.approx(0.41 + 4.302653 * 0.01 / math.sqrt(3))
    assert ("fusion.layers=8", "loss", 1) not in rows.index
    assert ("fusion.layers=6", "gain", 2) not in rows.index  # the three others lose
    sentences = describe_image_extremes(study.image_extremes())
    assert sentences[0].startswith("Largest gain: fusion.layers=6 on image a (circle), mask IoU +0.410 [0.385, 0.435]")
    assert "extreme of 4 images, so some of it is luck" in sentences[0]


def test_images_that_no_trial_kept_a_picture_of_are_told(tmp_path, study):
    assert study.image_extremes()["has_picture"].all()
    assert not any("no picture" in sentence for sentence in describe_image_extremes(study.image_extremes()))
    few = analysis.load(write(tmp_path / "few" / "study", n_kept=2)).image_extremes()
    assert few.groupby("sample_hash")["has_picture"].first().to_dict() == {"a": True, "b": True, "c": False, "d": False}
    said = "Of the 4 images named here 2 have no picture: trials keep the first 2 test images alone."
    assert describe_image_extremes(few)[-1] == said
    none = analysis.load(write(tmp_path / "none" / "study", caption="Whatever.")).image_extremes()
    assert describe_image_extremes(none)[-1] == "Of the 4 images named here 4 have no picture: no trial kept one."


def test_sentences_say_what_question_this_answers(study):
    sentences = describe_per_image(study.per_image())
    assert "not whether the architecture is better, which only seeds can say" in sentences[0]
    assert "fusion.layers=6 wins 25 % [25, 25] of the images and loses 75 % [75, 75] (3 seeds)." in sentences
    assert any("fusion.layers=6 wins 25 % and loses 75 % of the images although its mean" in text for text in sentences)
    assert "fusion.layers=2 wins most images of circle, and loses most of square." in sentences


def test_where_lower_is_better_a_smaller_value_wins(tmp_path):
    study = analysis.load(write(tmp_path / "runs" / "study", metric="mse"))
    row = study.per_image().set_index(["arm", "scene"]).loc[("fusion.layers=2", "circle")]
    assert (row["wins"], row["losses"], row["difference"]) == (0, 1, pytest.approx(0.15))
    assert study.image_extremes().set_index(["arm", "side"]).loc[("fusion.layers=2", "loss"), "difference"].max() > 0


def test_samples_without_scenes_have_one_row_per_arm(tmp_path):
    study = analysis.load(write(tmp_path / "runs" / "study", scene=False))
    assert study.per_image()["scene"].tolist() == ["all"] * 3
    assert "on image a, " in describe_image_extremes(study.image_extremes())[0]


def test_without_samples_or_a_metric_of_images_there_is_nothing(tmp_path, complete_study):
    assert complete_study.per_image().empty
    assert complete_study.image_extremes().empty
    assert describe_per_image(complete_study.per_image()) == []
    path = write(tmp_path / "runs" / "study")
    log = RunLog(path)
    for key in log.statuses():
        row = log.read_trial(key)
        log.write_trial(row, samples=log.read_samples(key).drop(columns="mask_iou"))
    assert analysis.load(path).per_image().empty


def test_only_registered_seeds_enter(tmp_path):
    path = write(tmp_path / "runs" / "study")
    study = analysis.load(path)
    assert study.per_image()["seeds"].unique().tolist() == ["0 1 2"]
    two = dataclasses.replace(study.data, claim=dataclasses.replace(study.data.claim, seeds=2))
    assert analysis.Study(two).per_image()["seeds"].unique().tolist() == ["0 1"]


def test_kept_pictures_stand_with_their_differences(study):
    strips = kept_strips(study.data, study.per_image())
    assert list(strips) == ["baseline", "fusion.layers=2", "fusion.layers=6", "fusion.layers=8"]
    assert strips["baseline"]["target"].shape == (SIDE, 4 * SIDE, 3)
    figure = plot_image_pictures(study.data, study.image_pairs(), strips)
    assert len(figure.axes) == 5 * 4  # targets, the baseline and three arms, four images each
    assert [axes.get_xlabel() for axes in figure.axes[8:12]] == ["+0.100", "+0.200", "−0.100", "−0.100"]
    assert all(axes.get_xlabel() == "" for axes in figure.axes[:8])


def test_pictures_whose_rows_are_not_named_are_not_shown(tmp_path):
    unnamed = analysis.load(write(tmp_path / "runs" / "study", caption=""))
    assert kept_strips(unnamed.data, unnamed.per_image()) == {}


def test_a_panel_for_each_arm(study):
    figure = plot_per_image(study.data, study.image_pairs(), study.per_image())
    assert [axes.get_title().split("\n")[1] for axes in figure.axes] == [
        "50 % won, 50 % lost",
        "25 % won, 75 % lost",
        "50 % won, 0 % lost",
    ]


def test_the_report_has_section_csv_and_figures(study, tmp_path):
    page = write_report(study, tmp_path / "results").read_text()
    written = {path.name for path in tmp_path.rglob("*.*")}
    assert {"per_image.csv", "image_extremes.csv", "replicates.csv", "importance.csv"} <= written
    assert {"per_image.png", "image_pictures.svg"} <= written
    assert "factorial_terms.csv" not in written
    assert "Images won and lost" in page


def test_what_an_axis_hides_is_written_above_the_panel_where_it_covers_no_curve(study):
    pairs, per_image = study.image_pairs().copy(), study.per_image()
    pairs.loc[pairs["arm"] == "fusion.layers=2", "gain"] *= 10
    figure = plot_per_image(study.data, pairs, per_image)
    assert [axes.get_title().splitlines()[2:] for axes in figure.axes] == [["↓ to −1.000, ↑ to +2.000"], [], []]
    assert all(not axes.texts for axes in figure.axes)
