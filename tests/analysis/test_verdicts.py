"""From numbers to words: arms, criteria, gate."""

import math
from dataclasses import replace

import pytest
from study_writer import CLAIM

import analysis
from analysis.verdicts import decide_arm, decide_criterion, unmet_criteria
from foresight.claim import Criterion


@pytest.mark.parametrize(
    ("n_pairs", "difference", "p_holm", "worst_case", "verdict"),
    [
        (5, 0.03, 0.01, 0.02, "better"),
        (5, -0.03, 0.01, -0.04, "worse"),
        (5, -0.003, 0.01, -0.004, "worse"),  # significant, though within the margin
        (5, -0.003, 0.4, -0.019, "non-inferior"),
        (5, -0.003, 0.4, -0.02, "undecided"),  # the margin itself is not above minus the margin
        (5, 0.03, 0.05, -0.03, "undecided"),  # p must be below alpha
        (4, 0.03, 0.001, 0.02, "no verdict (4 of 5 seeds)"),
        (0, math.nan, math.nan, math.nan, "no verdict (0 of 5 seeds)"),
    ],
)
def test_arm(n_pairs, difference, p_holm, worst_case, verdict):
    assert decide_arm(n_pairs, 5, difference, p_holm, worst_case, 0.02, 0.05, higher=True) == verdict


def test_arm_where_lower_is_better():
    assert decide_arm(5, 5, -0.03, 0.01, 0.02, 0.02, 0.05, higher=False) == "better"


@pytest.mark.parametrize(
    ("low", "high", "higher", "verdict"),
    [
        (0.60, 0.7, True, "met"),
        (0.5, 0.599, True, "not met"),
        (0.5, 0.7, True, "undecided"),
        (math.nan, math.nan, True, "undecided"),
        (0.5, 0.60, False, "met"),
        (0.601, 0.7, False, "not met"),
    ],
)
def test_criterion(low, high, higher, verdict):
    assert decide_criterion(low, high, 0.60, higher) == verdict


def verdict_of(verdicts, name):
    return verdicts.loc[verdicts["name"] == name].iloc[0]


def test_study(complete_study):
    verdicts = complete_study.verdicts()
    assert verdict_of(verdicts, "fusion.strategy=concat")["verdict"] == "worse"
    assert verdict_of(verdicts, "fusion.strategy=perceiver")["verdict"] == "better"
    assert verdict_of(verdicts, "dinov2.size=G")["verdict"] == "non-inferior"
    criteria = verdicts[verdicts["kind"] == "criterion"].set_index("metric")
    assert criteria.loc["mask_iou", "verdict"] == "met"
    assert criteria.loc["mask_iou", "band"] == "acceptable"


def test_sentences_have_the_numbers_of_their_row(complete_study):
    for _, row in complete_study.verdicts().iterrows():
        if row["verdict"] != "not measured":
            sign = -1 if row["verdict"] == "worse" else 1
            low, high = sorted((sign * row["low"], sign * row["high"]))
            shown = f"{sign * row['estimate']:.3f} [{low:.3f}, {high:.3f}]".replace("-0.000", "0.000").replace("-", "−")
            assert shown in row["sentence"]
            assert "200 test images" in row["sentence"]


def test_metric_that_was_not_measured_is_not_met(complete_study):
    verdicts = complete_study.verdicts()
    row = verdicts[verdicts["metric"] == "lpips"].iloc[0]
    assert row["verdict"] == "not measured"
    assert "lpips_random_trunk" in row["sentence"]
    assert unmet_criteria(verdicts) == [row["sentence"]]


def test_gate_is_open_when_all_criteria_are_met(write_study):
    claim = replace(CLAIM, criteria=(Criterion("mask_iou", 0.7, 0.6, 0.5), Criterion("mse", 0.02, 0.03, 0.04)))
    assert unmet_criteria(analysis.load(write_study(claim=claim)).verdicts()) == []


def test_gate_stays_closed_without_criteria(write_study):
    verdicts = analysis.load(write_study(n_seeds=1, claim=replace(CLAIM, criteria=()))).verdicts()
    assert unmet_criteria(verdicts) == ["the claim names no criterion"]


def test_too_few_seeds_give_no_verdict_and_an_undecided_criterion(write_study):
    verdicts = analysis.load(write_study(n_seeds=4)).verdicts()
    assert set(verdicts.loc[verdicts["kind"] == "arm", "verdict"]) == {"no verdict (4 of 5 seeds)"}
    assert verdicts.loc[verdicts["metric"] == "mask_iou", "verdict"].iloc[0] == "undecided"
