"""Cautions about metrics that can hardly tell anything apart, and none about small studies in which nothing is odd."""

import math

import numpy as np
import pandas as pd
import pytest
from odd_logs import ODD, samples_of
from study_writer import space

from analysis.cautions.resolution import p_of_arms
from foresight.claim import Claim
from foresight.runlog import RunLog
from foresight.space import Factor

KINDS = {"near_constant", "within_margin", "no_difference", "narrow"}
FIVE = space((Factor("fusion layers", "fusion.layers", (2, 4, 6, 8, 10)),))


def drawn(metric: str, middle: float, spread: float, effect: float = 0.0):
    """Rows with `metric` at `middle`, noise of `spread` and one arm higher by `effect`."""

    def change(trial, row):
        noise = np.random.default_rng([trial.seed, trial.config.fusion.layers]).uniform(-spread, spread)
        return row | {f"test/{metric}": middle + noise + (effect if trial.arm.name == ODD else 0.0)}

    return change


def test_a_metric_that_is_all_but_constant(cautions):
    text = cautions(change_row=drawn("ssim", 0.55, 1e-9), space=FIVE, n_seeds=5)["near_constant"]
    assert text.startswith("SSIM hardly varies: from 0.549999")
    assert "in all 25 trials, less than 0.1 % of its value, so it distinguishes next to nothing." in text


def test_arms_that_are_all_within_the_margin(cautions):
    # Told apart by the test and still of no matter: the original's mask IoU of 0.145 in every variant.
    found = cautions(change_row=drawn("mask_iou", 0.145, 0.0005, effect=0.004), n_seeds=5)
    assert found["within_margin"].startswith("The means of all 3 arms in mask IoU lie within 0.00")
    assert "less than the margin of 0.02 that the claim counts as no loss" in found["within_margin"]
    assert not KINDS & set(cautions(change_row=drawn("mask_iou", 0.145, 0.0005, effect=0.04), n_seeds=5))


def test_arms_that_no_test_tells_apart(cautions):
    text = cautions(change_row=drawn("ssim", 0.57, 0.018), space=FIVE, n_seeds=5)["no_difference"]
    assert text.startswith("An F-test over all arms, seeds taken out, shows no difference by ")
    assert "SSIM (p 0.369)" in text
    assert "mask IoU" not in text
    apart = cautions(change_row=drawn("ssim", 0.57, 0.018, 0.1), space=FIVE, n_seeds=5)
    assert "SSIM" not in apart.get("no_difference", "")


def test_a_small_study_is_not_told_that_it_is_small(cautions):
    assert not KINDS & set(cautions(change_row=drawn("ssim", 0.57, 0.018)))
    assert not KINDS & set(cautions(with_details=True))


def test_the_f_test_by_hand():
    # Three arms of means 1, 2 and 3 at six seeds, each with residuals of +-0.1 that sum to zero in every arm and seed.
    residuals = ((1, -1, 0), (-1, 0, 1), (0, 1, -1))
    rows = [
        {"arm": f"arm {arm}", "seed": seed, "value": 1.0 + arm + 0.1 * residuals[seed % 3][arm] + 5.0 * seed}
        for seed in range(6)
        for arm in range(3)
    ]
    # Between: 6 (1 + 0 + 1) / 2 = 6. Noise: 12 residuals of 0.01 over 10 degrees of freedom = 0.012. F(2, 10) = 500.
    assert p_of_arms(pd.DataFrame(rows)) == pytest.approx(
        (1 + 2 * 500 / 10) ** -5, rel=1e-6
    )  # closed form for 2 and 10
    assert math.isnan(p_of_arms(pd.DataFrame(rows[:-3])))  # 8 degrees of freedom


def test_a_scale_that_nothing_leaves(cautions):
    """A sigmoid of a hundredth of a logit: 0.55 to 0.587 for whatever is shown, the mean image included."""
    claim = Claim("?", "mask_iou", 0.02, 0.05, 2)

    def change(trial, row):
        value = 0.56 + 0.002 * trial.seed + (0.01 if trial.arm.name == ODD else 0.0)
        return row | {"test/edge_f1": value, "baseline/mean_image/edge_f1": 0.551}

    def with_images(log: RunLog) -> None:
        for trial in log.trials().to_dict("records"):
            row = {name: value for name, value in trial.items() if value == value and value is not None}
            rise = np.linspace(-0.005, 0.005, 200)
            log.write_trial(row, samples=samples_of(row["test/mask_iou"], edge_f1=row["test/edge_f1"] + rise))

    text = cautions(change_row=change, claim=claim, edit=with_images)["narrow"]
    told = "Edge F1 is between 0.551 and 0.577 in everything that was scored (6 trials, single test images, 1 predictor"
    assert text.startswith(told)
    assert "2.6 % of its range" in text


def test_a_predictor_far_below_shows_that_the_scale_is_wide(cautions):
    def change(trial, row):
        return row | {"test/edge_f1": 0.56 + 0.002 * trial.seed, "baseline/mean_image/edge_f1": 0.1}

    assert "narrow" not in cautions(change_row=change)
    alone = drawn("edge_f1", 0.56, 0.002)  # nothing is known but the arms
    assert "narrow" not in cautions(change_row=alone)
