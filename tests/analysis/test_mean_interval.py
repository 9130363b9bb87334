"""An interval of a mean ends where its metric does, wherever it is shown; what is tested stays as it was."""

import dataclasses
import math

import pytest
from study_writer import CLAIM, FACTORS, space

import analysis
from analysis.figure_factor import plot_factor
from analysis.figure_style import draw
from analysis.mean_interval import cut_to_range, estimate_mean
from analysis.report import render_report
from analysis.results_file import build_results
from analysis.summary import print_summary
from foresight.compare import compute_estimate

FEW = dataclasses.replace(CLAIM, seeds=2, criteria=CLAIM.criteria[:1])
VALUES = (0.60, 0.84)  # mean 0.72; t(0.975, 1) = 12.7 times the standard error 0.12 reaches from -0.80 to 2.24


def wide(trial, row):
    value = VALUES[trial.seed] if trial.arm.name == "baseline" else row["test/mask_iou"]
    return row | {"test/mask_iou": value}


@pytest.fixture
def study(write_study):
    return analysis.load(write_study(space=space((FACTORS[1],)), claim=FEW, n_seeds=2, change_row=wide))


def test_ends_by_hand():
    assert cut_to_range("mask_iou", [-0.8, 2.24]).tolist() == [0.0, 1.0]
    assert cut_to_range("psnr", [3.0, 101.0]).tolist() == [3.0, 100.0]
    assert math.isnan(cut_to_range("mask_iou", math.nan))
    plain, cut = compute_estimate(VALUES), estimate_mean("mask_iou", VALUES)
    assert (plain.low, plain.high) == pytest.approx((-0.804745, 2.244745))
    assert (cut.n, cut.mean, cut.low, cut.high, cut.p) == (plain.n, plain.mean, 0.0, 1.0, plain.p)


def test_tables_and_criteria_end_at_the_range_and_differences_do_not(study):
    table = study.table().query("role == 'primary' and kind == 'arm'").set_index("arm")
    assert table.loc["baseline", ["low", "high"]].tolist() == [0.0, 1.0]
    layers = table.loc["fusion.layers=2"]
    assert 0 < layers["low"] < layers["high"] < 1
    assert layers["difference_high"] - layers["difference_low"] > 2
    assert study.pareto().set_index("arm").loc["baseline", ["low", "high"]].tolist() == [0.0, 1.0]
    criterion = study.verdicts().query("kind == 'criterion'").iloc[0]
    assert (criterion["low"], criterion["high"], criterion["verdict"]) == (0.0, 1.0, "undecided")
    assert "0.720 [0.000, 1.000]" in criterion["sentence"]


def test_files_and_figures_show_what_the_table_has(study):
    evidence = build_results(study).results.experiments["baseline"].evidence["mask_iou"]
    assert (evidence.low, evidence.high) == (0.0, 1.0)
    figure = draw("factor", "", "", plot_factor, study.data, study.data.factors[0])
    assert any("mask IoU 0.720 [0.000, 1.000]" in mark for mark in figure.marks)


def test_the_page_says_once_where_its_intervals_end(study):
    page = render_report(study, [])
    assert page.count("intervals of means, here and below, are cut at the metric's") == 1


def test_the_half_width_in_the_terminal_is_that_of_the_side_that_is_not_cut(write_study, capsys):
    def near_one(trial, row):
        return row | ({"test/mask_iou": (0.96, 0.98)[trial.seed]} if trial.arm.name == "baseline" else {})

    print_summary(analysis.load(write_study(space=space((FACTORS[1],)), claim=FEW, n_seeds=2, change_row=near_one)))
    assert "0.970 ±0.127" in capsys.readouterr().out  # t(0.975, 1) = 12.7 times 0.01; upwards 0.03 are left
