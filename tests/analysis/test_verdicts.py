"""From numbers to words: arms, criteria, gate."""

import math
from dataclasses import replace

import pandas as pd
import pytest
from gate_studies import MET
from study_writer import CLAIM, space

import analysis
from analysis.criteria import decide_criterion, unmet_criteria
from analysis.verdicts import decide_arm
from analysis.wording import p_phrase
from foresight.claim import Criterion
from foresight.space import Factor

FEW_ARMS = space((Factor("layers", "fusion.layers", (2, 4)),))


@pytest.mark.parametrize(
    ("n_pairs", "difference", "p_holm", "p_noninferior", "verdict"),
    [
        (5, 0.03, 0.01, 0.0, "better"),
        (5, -0.03, 0.01, 0.9, "worse"),
        (5, -0.003, 0.01, 0.0, "worse"),  # significant, though within the margin
        (5, -0.003, 0.4, 0.049, "non-inferior"),
        (5, -0.003, 0.4, 0.05, "undecided"),  # p must be below alpha
        (5, 0.03, 0.05, 0.06, "undecided"),
        (4, 0.03, 0.001, 0.0, "no verdict (4 of 5 seeds)"),
        (0, math.nan, math.nan, math.nan, "no verdict (0 of 5 seeds)"),
    ],
)
def test_arm(n_pairs, difference, p_holm, p_noninferior, verdict):
    assert decide_arm(n_pairs, 5, difference, p_holm, p_noninferior, 0.05, higher=True) == verdict


def test_arm_where_lower_is_better():
    assert decide_arm(5, 5, -0.03, 0.01, 0.0, 0.05, higher=False) == "better"


def test_arm_whose_missing_seeds_failed():
    verdict = decide_arm(3, 5, 0.3, 0.001, 0.0, 0.05, higher=True, n_failed=2)
    assert verdict == "no verdict (3 of 5 seeds, 2 failed)"


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


def exact_differences(steps: dict[str, tuple[float, ...]]):
    """Sets mask IoU to 0.5 at the baseline and every arm, plus `steps` of the arm by seed."""
    return lambda trial, row: row | {"test/mask_iou": 0.5 + steps.get(trial.arm.name, (0.0,) * 9)[trial.seed]}


def test_adjustment_is_over_all_14_arms(write_study):
    # standard error sqrt(0.000058 / 5), t = 5.8722022, 4 degrees of freedom: with u = 1 + t^2 / 4,
    # p = 1/2 - 3/8 * t / sqrt(u) * (1 - t^2 / (12 u)) = 0.0021004, the least of 14. The 13 arms that repeat the baseline are
    # a sign test of five, p = 1/32
    steps = {"fusion.layers=2": (-0.010, -0.004, 0, 0.004, 0.010)}
    verdicts = analysis.load(write_study(change_row=exact_differences(steps))).verdicts()
    row = verdict_of(verdicts, "fusion.layers=2")
    assert (row["verdict"], row["p_noninferior_holm"]) == ("non-inferior", pytest.approx(0.0294051, abs=1e-6))
    assert "margin of 0.02 (adjusted p 0.029)" in row["sentence"]
    same = verdict_of(verdicts, "fusion.layers=6")
    assert (row["method"], same["method"], same["verdict"]) == ("paired t", "exact", "undecided")
    assert same["p_noninferior_holm"] == pytest.approx(13 / 32)
    # noisier, and a second such arm, in another factor: 14 and 13 times 0.0046619
    steps = dict.fromkeys(("fusion.layers=2", "dinov2.size=B"), (-0.0125, -0.005, 0, 0.005, 0.0125))
    verdicts = analysis.load(write_study("more", change_row=exact_differences(steps))).verdicts()
    row = verdict_of(verdicts, "fusion.layers=2")
    assert (row["verdict"], row["p_noninferior_holm"]) == ("undecided", pytest.approx(0.0652671, abs=1e-6))
    assert "adjusted p 1.000 for a difference, 0.065 for non-inferiority" in row["sentence"]


def test_an_undecided_arm_says_how_many_seeds_a_new_claim_would_need(write_study):
    steps = dict.fromkeys(("fusion.layers=2", "dinov2.size=B"), (-0.025, -0.01, 0, 0.01, 0.025))
    claims = {"plain": CLAIM, "sure": replace(CLAIM, power=0.99), "narrow": replace(CLAIM, margin=0.0002)}
    rows = {}
    for name, claim in claims.items():
        few = space((Factor("layers", "fusion.layers", (2, 4)), Factor("size", "dinov2.size", ("B", "L"))))
        study = analysis.load(write_study(name, space=few, claim=claim, change_row=exact_differences(steps)))
        rows[name] = verdict_of(study.verdicts(), "dinov2.size=B")
    # no difference, so non-inferiority decides, one-sided at 0.05 / 2: t = 0.02 / (0.0190394 / sqrt(n)) with n - 1
    # degrees of freedom has a chance of 0.8 or more from n = 10 on (scipy.stats.nct: 0.788 at 9, 0.840 at 10)
    assert rows["plain"]["more_seeds"] == 5
    assert rows["plain"]["sentence"].endswith(
        "If it stays as found, a new claim, declared before its trials, would decide it with about 10 seeds at 80 % power; "
        "more seeds of this one change no verdict."
    )
    assert 5 < rows["sure"]["more_seeds"] < 20
    assert "at 99 % power" in rows["sure"]["sentence"]
    assert math.isinf(rows["narrow"]["more_seeds"])
    assert "would decide it with more than 105 seeds" in rows["narrow"]["sentence"]


def test_worse_within_the_margin_says_so(write_study):
    steps = {"fusion.layers=2": (-0.0100, -0.0101, -0.0099, -0.0100, -0.0102)}
    row = verdict_of(analysis.load(write_study(change_row=exact_differences(steps))).verdicts(), "fusion.layers=2")
    assert row["verdict"] == "worse"
    assert "which is within the margin of 0.02 (adjusted p below 0.001)" in row["sentence"]


@pytest.mark.parametrize("sign", [1, -1])
def test_an_interval_that_crosses_zero_keeps_its_sign(write_study, sign):
    # sd 0.0215058 over 5 seeds: 0.02 +- 2.776445 * 0.0096177 = [-0.007, 0.047], and p 0.106, a verdict at alpha 0.2
    steps = {"fusion.layers=2": tuple(sign * step for step in (0.05, -0.005, 0.03, 0.005, 0.02))}
    claim = replace(CLAIM, alpha=0.2)
    study = analysis.load(write_study(space=FEW_ARMS, claim=claim, change_row=exact_differences(steps)))
    row = verdict_of(study.verdicts(), "fusion.layers=2")
    assert row["verdict"] == ("better" if sign > 0 else "worse")
    assert f"is {row['verdict']} than the baseline by 0.020 [−0.007, 0.047] mask IoU" in row["sentence"]


def test_more_seeds_change_no_verdict(write_study, complete_study):
    def change(trial, row):
        return row | {"test/mask_iou": 0.95} if trial.seed > 4 and trial.arm.name == "fusion.layers=8" else row

    study = analysis.load(write_study(n_seeds=7, change_row=change))
    assert study.data.registered_seeds == (0, 1, 2, 3, 4)
    pd.testing.assert_frame_equal(study.verdicts(), complete_study.verdicts())
    row = study.table().query("arm == 'fusion.layers=8' and role == 'primary'").iloc[0]
    assert row["seeds"] == row["pair_seeds"] == "0 1 2 3 4"
    texts = {c.kind: c.text for c in study.cautions()}
    assert "registered seeds alone (0, 1, 2, 3, 4): 2 further complete seeds (5, 6) enter none" in texts["extra_seeds"]
    assert "would raise the false-verdict rate" in texts["extra_seeds"]


def test_survivors_of_a_diverging_arm_earn_nothing(write_study):
    def change(trial, row):
        if trial.arm.name == "fusion.strategy=perceiver" and trial.seed in (1, 3):
            return {k: v for k, v in row.items() if not k.startswith("test/")} | {"status": "failed", "error": "nan"}
        return None if trial.arm.name == "dinov2.size=B" and trial.seed == 2 else row

    verdicts = analysis.load(write_study(n_seeds=9, change_row=change)).verdicts()
    row = verdict_of(verdicts, "fusion.strategy=perceiver")
    assert (row["verdict"], row["seeds"]) == ("no verdict (3 of 5 seeds, 2 failed)", "0 2 4")
    assert math.isnan(row["p_holm"])
    assert verdict_of(verdicts, "dinov2.size=B")["verdict"] == "no verdict (4 of 5 seeds)"


def verdict_of(verdicts, name):
    return verdicts.loc[verdicts["name"] == name].iloc[0]


def test_study(complete_study):
    verdicts = complete_study.verdicts()
    assert verdict_of(verdicts, "fusion.strategy=concat")["verdict"] == "worse"
    assert verdict_of(verdicts, "fusion.strategy=perceiver")["verdict"] == "better"
    same = verdict_of(verdicts, "dinov2.size=G")
    assert same["verdict"] == "non-inferior"
    assert same["p_noninferior_holm"] < 0.05
    assert f"(adjusted p {p_phrase(same['p_noninferior_holm'])})" in same["sentence"]
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


def test_a_criterion_is_decided_and_shown_by_the_interval_of_the_claims_alpha(write_study):
    found = {}
    for alpha in (0.05, 0.2):
        claim = replace(CLAIM, alpha=alpha)
        verdicts = analysis.load(write_study(f"alpha_{alpha}", space=FEW_ARMS, claim=claim)).verdicts()
        found[alpha] = verdicts.query("kind == 'criterion' and metric == 'mask_iou'").iloc[0]
    half_width = {alpha: row["high"] - row["estimate"] for alpha, row in found.items()}
    # Two-sided t quantiles of four degrees of freedom: 1.533 at alpha 0.2, 2.776 at 0.05.
    assert half_width[0.2] / half_width[0.05] == pytest.approx(1.533206 / 2.776445, rel=1e-5)
    assert "at 0.8 confidence" in found[0.2]["sentence"]
    assert "confidence" not in found[0.05]["sentence"]


def test_two_seeds_give_no_verdict_whatever_the_claim_registers(write_full, run_analysis):
    """A claim of two seeds without noise to speak of: three are the least (pitfalls, section 2)."""

    def change(trial, row):
        return row | {"test/mask_iou": (0.7 if trial.arm.name == "baseline" else 0.9) + 1e-5 * trial.seed}

    write_full("p2_end_to_end", claim=replace(MET, seeds=2), n_seeds=2, change_row=change)
    study = analysis.load("runs/p2_end_to_end")
    verdicts = study.verdicts()
    assert verdicts["verdict"].tolist() == ["undecided", "no verdict (2 of 3 seeds)"]
    assert "(2 of 3 seeds" in verdicts["sentence"][0]
    assert run_analysis("p2_end_to_end", "--gate").exit_code == 3
