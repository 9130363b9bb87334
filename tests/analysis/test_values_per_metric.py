"""The number of test images beside a number is that of the images on which its metric has a value."""

import numpy as np
import pytest
from odd_logs import LAYERS, ODD, rewrite, samples_of
from study_writer import CLAIM

import analysis
from analysis.report import render_report
from analysis.results_file import build_results
from foresight.claim import Claim, Criterion
from foresight.runlog import RunLog

N_IMAGES, N_BOXED = 200, 10
ON_BOXES = Claim(CLAIM.statement, "mask_iou", 0.02, 0.05, 3, (Criterion("box_iou", 0.7, 0.6, 0.5),))


def boxed(n: int, value: float = 0.5) -> np.ndarray:
    """One value on `n` images, and none on the others."""
    return np.array([value] * n + [np.nan] * (N_IMAGES - n))


def write_boxed(path, boxes: dict[str, int], metric: str = "box_iou") -> None:
    """Samples of every trial; `metric` has a value on so many images of each arm."""
    log = RunLog(path)
    for arm, n in boxes.items():
        rewrite(log, arm, samples_of(0.6, **{metric: boxed(n)}), **{f"test/{metric}": 0.5, "test/mask_iou": 0.6})


@pytest.fixture
def study(write_study):
    def write(boxes: dict[str, int], metric: str = "box_iou", claim: Claim = ON_BOXES) -> analysis.Study:
        path = write_study(space=LAYERS, n_seeds=3, claim=claim)
        write_boxed(path, boxes, metric)
        return analysis.load(path)

    return write


ALL = dict.fromkeys(("baseline", ODD, "fusion.layers=6"), N_BOXED)


def test_the_table_says_on_how_many_images_a_metric_has_a_value(study):
    table = study(ALL).table()
    n_test = table[table["kind"] == "arm"].groupby("metric")["n_test"].unique()
    assert list(n_test["box_iou"]) == [N_BOXED]
    assert list(n_test["mask_iou"]) == list(n_test["ssim"]) == [N_IMAGES]


def test_sentences_and_results_say_so_as_well(study):
    loaded = study(ALL)
    verdicts = loaded.verdicts()
    criterion = verdicts[verdicts["kind"] == "criterion"].iloc[0]
    assert criterion["n_test"] == N_BOXED
    assert "(3 seeds, 10 of 200 test images; target 0.7)" in criterion["sentence"]
    evidence = build_results(loaded).results.experiments["baseline"].evidence
    assert (evidence["box_iou"].n_test, evidence["mask_iou"].n_test) == (N_BOXED, N_IMAGES)


def test_a_primary_metric_that_few_images_have(study):
    claim = Claim(CLAIM.statement, "box_iou", 0.02, 0.05, 3)
    loaded = study(ALL, claim=claim)
    assert loaded.data.tested == "10 of 200 test images"
    assert "10 test images" in loaded.verdicts()["sentence"].iloc[0]
    assert "(3 seeds, 10 of 200 test images)" in build_results(loaded).results.experiments["baseline"].finding
    page = render_report(loaded, [])
    assert "10 of 200 test images; intervals of means" in page


def test_every_frame_of_the_primary_metric_counts_its_images(study):
    loaded = study(ALL, claim=Claim(CLAIM.statement, "box_iou", 0.02, 0.05, 3))
    for frame in (loaded.pareto(), loaded.fronts(), loaded.importance(), loaded.replicates(), loaded.simplification()):
        assert set(frame["n_test"]) == {N_BOXED}


def test_a_secondary_metric_of_the_page_names_its_images(study):
    page = render_report(study(ALL), [])
    assert "fraction, 10 of 200 test images" in page


def test_an_arm_on_more_images_than_others(study):
    loaded = study(ALL | {ODD: 50})
    rows = loaded.table().query("metric == 'box_iou' and kind == 'arm'").set_index("arm")
    assert (rows.loc[ODD, "n_test"], rows.loc["baseline", "n_test"]) == (50, N_BOXED)
    (text,) = (caution.text for caution in loaded.cautions() if caution.kind == "fewer_values")
    assert "Box IoU has a value on 10 or more of 200 test images in 3 arms (baseline: 10, fusion.layers=2: 50," in text


def test_a_reader_is_told_of_images_without_a_value(study):
    (text,) = (caution.text for caution in study(ALL).cautions() if caution.kind == "fewer_values")
    assert text.startswith("Box IoU has a value on 10 of 200 test images in every arm: its mean is of these alone")
    assert "fewer_values" not in {c.kind for c in study(dict.fromkeys(ALL, N_IMAGES)).cautions()}


def test_samples_that_are_not_all_kept_say_nothing(write_study):
    path = write_study(space=LAYERS, n_seeds=3)
    rewrite(RunLog(path), ODD, samples_of(0.6).assign(box_iou=boxed(N_BOXED)).head(20))
    loaded = analysis.load(path)
    assert set(loaded.table().query("kind == 'arm'")["n_test"]) == {N_IMAGES}
    assert "fewer_values" not in {caution.kind for caution in loaded.cautions()}


def test_a_share_is_one_of_the_images_that_have_a_value(study):
    def impossible(loaded: analysis.Study) -> str:
        return " ".join(caution.text for caution in loaded.cautions() if caution.kind == "impossible")

    path = study(ALL, "iou_above_50").data.log.root
    assert impossible(analysis.load(path)) == ""
    rewrite(RunLog(path), ODD, samples_of(0.6, iou_above_50=boxed(N_BOXED)), **{"test/iou_above_50": 0.495})
    assert "a share of 10 of 200 test images, and no number of them gives 0.495 in" in impossible(analysis.load(path))


def test_a_value_that_no_sample_has(study):
    loaded = study(ALL | {ODD: 0})
    assert loaded.table().query("metric == 'box_iou' and arm == @ODD")["n_test"].iloc[0] == N_IMAGES
    (text,) = (caution.text for caution in loaded.cautions() if caution.kind == "other_mean")
    assert "test/box_iou is not the mean of its samples" in text
    assert "states 0.5 for nan" in text


def test_further_sets_count_their_own(write_study):
    on_clips = {"heldout/clips/n": 4, "heldout/clips/hash": "ab12", "heldout/clips/box_iou": 0.5}
    on_clips |= {"heldout/clips/mask_iou": 0.5, "heldout/clips/baseline/mean_image/box_iou": 0.1}
    path = write_study(space=LAYERS, n_seeds=3)
    for arm in ALL:
        clips = samples_of(0.5, [f"c{i}" for i in range(4)], box_iou=[0.5, 0.5, np.nan, np.nan]).assign(split="clips")
        rewrite(RunLog(path), arm, clips, **on_clips)
    loaded = analysis.load(path)
    n = loaded.heldout().groupby(["kind", "metric"])[["n", "n_set"]].first()
    assert n.loc[("arm", "box_iou")].tolist() == n.loc[("trivial", "box_iou")].tolist() == [2, 4]
    assert n.loc[("arm", "mask_iou")].tolist() == [4, 4]
    texts = [caution.text for caution in loaded.cautions() if caution.kind == "fewer_values"]
    assert any("Box IoU has a value on 2 of 4 of the further set clips in every arm" in text for text in texts)
    assert "<small>of 2</small>" in render_report(loaded, [])
