"""Cautions about the images behind the numbers: whether they were unseen, how many, and what they add up to."""

import numpy as np
import pytest
from odd_logs import ODD, rewrite, samples_of
from study_writer import SPLITS

from analysis.cautions.samples import is_share_of


def test_hashes_that_nobody_kept(cautions):
    text = cautions({"data/train_hash": "0" * 16, "data/val_hash": "1" * 16}, everywhere=True)["unproven"]
    assert "6 trials to be unseen in training: the hashes of their training and validation images are not kept" in text


def test_training_images_that_nobody_named(cautions):
    text = cautions({"data/train_hash": None}, everywhere=True)["unproven"]
    assert text.endswith("6 trials to be unseen in training: the row does not say which images were trained on.")


def test_a_further_set_whose_hashes_nobody_kept(cautions):
    clips = {"heldout/clips/ssim": 0.7, "heldout/clips/n": 2, "heldout/clips/hash": "0" * 16}
    assert cautions(clips)["unproven"] == (
        "Nothing in the run log proves the images of the further set clips of 2 trials to be unseen in training: the hashes "
        "of their 'clips' images are not kept."
    )


@pytest.mark.parametrize(
    ("value", "n", "possible"),
    [
        (2 / 379, 379, True),
        (0.005277, 379, True),  # rounded to its last digit
        (0.005277, 200, False),  # of 200 images the nearest share is 1/200 = 0.005
        (1 / 3, 200, False),
        (0.333, 3, True),
        (0.334, 3, False),
        (float(np.float32(67 / 128)), 128, True),
        (0.0, 7, True),
        (1.0, 7, True),
    ],
)
def test_shares_of_n(value, n, possible):
    assert is_share_of(value, n) == possible


def test_a_share_that_no_number_of_images_gives(cautions):
    text = cautions({"test/iou_above_50": 0.333, "test/iou_above_75": 0.335})["impossible"]
    assert "a share of 200 test images, and no number of them gives 0.333 in" in text
    assert "0.335" not in text


def test_samples_that_add_up_to_another_mean(cautions):
    text = cautions(edit=lambda log: rewrite(log, ODD, samples_of(0.5), **{"test/mask_iou": 0.6}))["other_mean"]
    assert "stored test/mask_iou is not the mean of its samples" in text
    assert text.count("states 0.6 for 0.5") == 2


def test_samples_that_add_up(cautions):
    def edit(log):
        values = np.linspace(0.2, 0.9, 200, dtype=np.float32)
        rewrite(log, ODD, samples_of(values), **{"test/mask_iou": float(values.mean())})

    assert "other_mean" not in cautions(edit=edit)


def test_a_latency_is_the_median_of_its_repeats(cautions):
    def edit(log, stated):
        rewrite(log, ODD, samples_of(0.5, latency_ms=[1.0] * 150 + [9.0] * 50), **{"test/latency_ms": stated})

    assert "latency_ms" not in cautions(edit=lambda log: edit(log, 1.0)).get("other_mean", "")
    assert "test/latency_ms is not the median" in cautions(edit=lambda log: edit(log, 3.0))["other_mean"]


def test_a_further_set_is_held_against_its_own_samples(cautions):
    clips = samples_of(0.5, ["c1", "c2"]).assign(split="clips")
    columns = {"heldout/clips/mask_iou": 0.7, "heldout/clips/n": 2, "heldout/clips/hash": "ab"}
    text = cautions(edit=lambda log: rewrite(log, ODD, clips, **columns))["other_mean"]
    assert "heldout/clips/mask_iou is not the mean of its samples" in text


def test_samples_that_are_not_all_there_or_twice_or_others(cautions):
    few = cautions(edit=lambda log: rewrite(log, ODD, samples_of(0.5, SPLITS["test"][:4])))
    assert "state 200 test images, and the samples beside them are 4 in 2 trials" in few["other_number"]
    assert "other_mean" not in few
    twice = cautions(edit=lambda log: rewrite(log, ODD, samples_of(0.5, SPLITS["test"][:100] * 2)))
    assert "Up to 100 of the test images are copies of others in 2 trials" in twice["repeated"]
    others = cautions(edit=lambda log: rewrite(log, ODD, samples_of(0.5, [f"other-{i}" for i in range(200)])))
    assert "other images than the row's data/test_hash names in 2 trials" in others["other_images"]
