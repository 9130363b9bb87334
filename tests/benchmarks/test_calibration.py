"""A small version of the simulation study, and the stored one: the method keeps alpha where pooling does not, and sees more."""

import numpy as np
import pandas as pd
import pytest

from analysis.calibration import (
    CALIBRATION_COLUMNS,
    CHOSEN,
    FALSE,
    FALSE_BY_FACTOR,
    FALSE_NONINFERIOR,
    PAIRED_T,
    POOLED,
    POWER,
    build_calibration,
    describe_calibration,
    read_calibration,
)
from analysis.figure_calibration import plot_calibration
from analysis.figure_style import draw
from analysis.sections import SECTIONS
from benchmarks.calibration import ALPHA, ARMS, NOISES, SEEDS, adjust_holm, contrast_pooled, simulate_cell
from foresight.compare import compute_holm
from foresight.moderation import LEAST_ARMS

REPETITIONS = 4000
LARGEST_ERROR = (ALPHA * (1 - ALPHA) / REPETITIONS) ** 0.5


def rates_of(
    noise: str, n_seeds: int, n_compared: int, repetitions: int = REPETITIONS, seed: int = 5, effects: tuple = ()
) -> pd.DataFrame:
    return pd.DataFrame(simulate_cell(noise, n_seeds, n_compared, repetitions, seed, effects))


def rate(rows: pd.DataFrame, method: str, kind: str = FALSE, effect: float = 0.0) -> float:
    found = rows[(rows["method"] == method) & (rows["kind"] == kind) & (rows["effect"] == effect)]
    assert len(found) == 1
    return float(found["rate"].iloc[0])


@pytest.mark.parametrize(
    ("noise", "n_seeds", "n_compared"),
    [
        ("noisy baseline", 3, 4),
        ("noisy baseline", 5, 14),
        ("two noisy arms", 3, 7),
        ("two diverging", 3, 4),
        ("two diverging", 3, 14),
        ("quarter diverging", 3, 40),
        ("half noisy", 5, 14),
        ("half diverging", 5, 40),
        ("baseline noisy, two diverging", 5, 14),
        ("lognormal", 3, 14),
        ("heavy-tailed", 3, 4),
        ("steps", 5, 4),
        ("coarse steps", 3, 3),
    ],
)
def test_alpha_is_kept_where_it_is_hardest(noise, n_seeds, n_compared):
    rows = rates_of(noise, n_seeds, n_compared)
    for kind in (FALSE, FALSE_NONINFERIOR):
        assert rate(rows, CHOSEN, kind) <= ALPHA + 3 * LARGEST_ERROR


@pytest.mark.parametrize("noise", ["noisy baseline", "two noisy arms", "two diverging", "lognormal"])
def test_the_same_check_finds_pooling_out(noise):
    assert rate(rates_of(noise, 3, 14), POOLED) > ALPHA + 3 * LARGEST_ERROR


def test_a_family_of_each_factor_does_not_hold_the_study():
    rows = rates_of("equal", 5, 14)
    for method in (CHOSEN, PAIRED_T):
        assert rate(rows, method) <= ALPHA + 3 * LARGEST_ERROR
        assert rate(rows, method, FALSE_BY_FACTOR) > 2 * ALPHA


def test_it_sees_more_than_the_paired_test():
    rows = rates_of("equal", 3, 14, effects=(4.0,))
    assert rate(rows, CHOSEN, POWER, 4.0) > rate(rows, PAIRED_T, POWER, 4.0) + 0.3


def test_two_diverging_arms_cost_the_others_no_more_than_the_paired_test():
    rows = rates_of("two diverging", 5, 14, effects=(4.0,))
    assert rate(rows, CHOSEN, POWER, 4.0) > rate(rows, PAIRED_T, POWER, 4.0) + 0.05


def test_holm_of_many_studies_is_holm_of_each():
    p = np.random.default_rng(0).uniform(size=(20, 6)) ** 3
    assert adjust_holm(p).tolist() == [pytest.approx(compute_holm(row)) for row in p.tolist()]


def test_pooled_block_by_hand():
    # one arm: the residuals' variance is half that of the differences 1, 2, 6, which is 7
    found = contrast_pooled(np.array([[5.0, 1.0, 2.0], [6.0, 3.0, 8.0]]))
    assert found.difference.tolist() == pytest.approx([3])
    assert found.standard_error.tolist() == pytest.approx([(7 / 3) ** 0.5])
    assert found.degrees.tolist() == [2]


def test_the_stored_rates_cover_every_cell_and_keep_alpha():
    stored = read_calibration()
    assert tuple(stored.columns) == CALIBRATION_COLUMNS
    assert set(stored["alpha"]) == {ALPHA}
    assert stored["repetitions"].min() >= 10_000
    for kind in (FALSE, FALSE_NONINFERIOR):
        rows = stored[(stored["method"] == CHOSEN) & (stored["kind"] == kind)]
        cells = {(row["noise"], row["n_seeds"], row["n_arms"]) for _, row in rows.iterrows()}
        assert cells == {(noise, seeds, arms) for noise in NOISES for seeds in SEEDS for arms in ARMS}
        error = (ALPHA * (1 - ALPHA) / rows["repetitions"]) ** 0.5
        moderated = rows["n_arms"] >= LEAST_ARMS
        assert (rows["rate"] <= ALPHA + 3 * error)[moderated].all()
        # Below, it is the paired t-test, which is over alpha itself where a metric moves in steps as wide as its noise.
        paired = stored[(stored["method"] == PAIRED_T) & (stored["kind"] == kind)].set_axis(rows.index)
        assert (rows["rate"] == paired["rate"])[~moderated].all()
        assert (rows["rate"] <= ALPHA + 3 * error)[~moderated & ~rows["noise"].str.contains("steps")].all()


def test_the_stored_rates_are_what_the_command_gives():
    stored = read_calibration()
    cell = stored[(stored["noise"] == "noisy baseline") & (stored["n_seeds"] == 3) & (stored["n_arms"] == 4)]
    assert f"--seed {cell['seed'].iloc[0]}" in cell["command"].iloc[0]
    again = rates_of("noisy baseline", 3, 4, int(cell["repetitions"].iloc[0]), int(cell["seed"].iloc[0]))
    found = {(row["kind"], row["method"]): row["rate"] for _, row in again.iterrows()}
    assert found == {(row["kind"], row["method"]): pytest.approx(row["rate"]) for _, row in cell.iterrows()}


def test_summary_sentences_and_figure():
    rates = read_calibration()
    summary = build_calibration(rates)
    worst = summary[summary["method"] == CHOSEN].sort_values("false_rate").iloc[-1]
    false = rates[(rates["kind"] == FALSE) & (rates["method"] == CHOSEN)]
    assert worst["false_rate"] == false["rate"].max()
    sentences = describe_calibration(summary)
    assert len(sentences) == 3
    mine = next(sentence for sentence in sentences if sentence.startswith(CHOSEN.capitalize()))
    assert f"{100 * worst['false_rate']:.2g} % had a false verdict" in mine
    assert f"noise '{worst['worst_noise']}' with {worst['n_seeds']} seeds and {worst['n_arms_worst']} arms" in mine
    assert draw("calibration", "", "", plot_calibration, rates).svg.startswith("<?xml")


def test_false_non_inferior_verdicts_are_shown_as_well():
    rates = read_calibration()
    summary = build_calibration(rates)
    mine = summary[summary["method"] == CHOSEN]
    for n_seeds, row in mine.set_index("n_seeds").iterrows():
        cell = rates[(rates["kind"] == FALSE_NONINFERIOR) & (rates["method"] == CHOSEN) & (rates["n_seeds"] == n_seeds)]
        worst = cell.sort_values("rate").iloc[-1]
        assert (row["noninferior_rate"], row["noninferior_noise"]) == (worst["rate"], worst["noise"])
        half_width = 1.96 * worst["standard_error"]
        assert row["noninferior_rate_high"] - row["noninferior_rate"] == pytest.approx(half_width)
    largest = mine["noninferior_rate"].max()
    told = f"Where every arm is worse by the margin, {100 * largest:.2g} % had one that was called non-inferior (± "
    assert told in describe_calibration(summary)[0]
    section = next(section for section in SECTIONS if section.anchor == "calibration")
    assert "noninferior_rate" in section.columns
    left, right, _ = plot_calibration(rates).axes
    assert (left.get_title(), right.get_title()) == (
        "False better or worse,\nno arm differs",
        "False non-inferior,\nall lose the margin",
    )
    drawn = {float(x) for line in right.lines for x in line.get_xdata()}
    assert set(rates.loc[rates["kind"] == FALSE_NONINFERIOR, "rate"]) <= drawn
