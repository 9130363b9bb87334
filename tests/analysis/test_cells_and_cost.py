"""How any frame reads in a table of the page, what every section needs, and what a study has cost."""

import math

import numpy as np
import pandas as pd
import pytest
from study_writer import with_gaps
from typer.testing import CliRunner

import analysis
from analysis.__main__ import app
from analysis.cells import MOST_WITH_TRIALS, build_cells, interval_of
from analysis.cost import COST_COLUMNS, build_cost, describe_cost
from analysis.figure_marks import arm_values, describe_point
from analysis.figure_style import INK, draw, mark, new_figure
from analysis.inline_svg import inline_svg
from analysis.sections import SECTIONS
from foresight.errors import RequestError
from foresight.price import Price, compute_money, read_price
from foresight.runlog import RunLog
from foresight.side_costs import SideCosts

FRAME = pd.DataFrame(
    {
        "arm": ["baseline", "fusion.layers=2"], "metric": ["psnr", "psnr"], "n_seeds": pd.array([5, None], dtype="Int64"),
        "seeds": ["0 1 2 3 4", ""], "mean": [21.346, math.nan], "low": [20.5, math.nan], "high": [22.5, math.nan],
        "difference": [0.5, -0.031], "p_holm": [0.0002, 0.04], "params_trained": [100_024, 8_109_952],
        "latency_ms": [12.34, math.nan], "gpu_s": [7200.0, 12.0], "on_front": [True, False], "margin": [0.05, 0.02],
        "money": [2.1, 0.0], "saved_latency_ms": [0.351, -0.07], "saved_latency_ms_low": [0.3, math.nan],
        "saved_latency_ms_high": [0.4, math.nan], "warnings": ["", "The reference had not converged in 3 of 5 trials."],
    }
)  # fmt: skip


def shown(column: str, row: int = 0) -> tuple[str, str]:
    cell = build_cells(FRAME, [column])[row][0]
    return cell.text, cell.note


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        ("arm", ("baseline", "fusion.layers=2")),
        ("metric", ("psnr/v1", "psnr/v1")),
        ("difference", ("+0.50", "−0.03")),  # decimals of a metric in dB
        ("p_holm", ("<0.001", "0.040")),
        ("params_trained", ("100 k", "8.11 M")),
        ("latency_ms", ("12.3", "–")),
        ("gpu_s", ("2 h", "12 s")),
        ("on_front", ("yes", "no")),
        ("margin", ("0.05", "0.02")),
        ("money", ("2.10", "0.00")),
        ("saved_latency_ms", ("35 %", "−7 %")),  # a share, whatever the unit of what is saved
    ],
)
def test_a_value_reads_by_its_column_and_metric(column, texts):
    assert (shown(column)[0], shown(column, 1)[0]) == texts


def test_an_interval_stands_under_its_number_and_seeds_under_their_count():
    assert shown("mean") == ("21.35", "[20.50, 22.50]")
    assert shown("mean", 1) == ("–", "")
    assert shown("n_seeds") == ("5", "0 1 2 3 4")
    assert shown("n_seeds", 1) == ("–", "")
    assert shown("saved_latency_ms")[1] == "[30 %, 40 %]"
    separate = build_cells(FRAME, ["mean", "low", "high"])[0]
    assert [(cell.text, cell.note) for cell in separate] == [("21.35", ""), ("20.50", ""), ("22.50", "")]


def test_the_limits_of_a_number_are_found_by_name_or_place():
    names = ["arm", "efficiency", "low", "high", "gain", "gain_low", "gain_high"]
    assert interval_of(names, "efficiency") == ("low", "high")
    assert interval_of(names, "gain") == ("gain_low", "gain_high")
    assert interval_of(names, "arm") is None


def test_a_cell_sorts_by_its_value_and_a_long_text_may_wrap():
    cell, text = build_cells(FRAME, ["params_trained", "warnings"])[1]
    assert (float(cell.sort), cell.kind) == (8_109_952, "number")
    assert text.kind == "wrap"
    assert build_cells(FRAME, ["latency_ms"])[1][0].sort == ""  # what is missing goes last


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.anchor)
def test_every_section_shows_columns_of_its_frame(section, complete_study):
    frame = section.build(complete_study)
    assert set(section.columns) <= set(frame)
    if len(frame):
        assert all(sentence.strip() == sentence != "" for sentence in section.describe(frame))
        assert len(build_cells(frame, list(section.columns))) == len(frame)


def test_anchors_are_unique():
    anchors = [section.anchor for section in SECTIONS]
    assert len(anchors) == len(set(anchors))


def test_cost_counts_every_recorded_trial_and_prices_gpu_hours(write_study):
    def on_gpu(trial, row):
        row = with_gaps(trial, row)
        return row and (row | {"cost/gpu_s": 1800.0} if row["status"] == "complete" else row | {"cost/gpu_s": None})

    data = analysis.load(write_study(change_row=on_gpu)).data
    cost = build_cost(data, Price(2.0, "EUR"))
    assert tuple(cost) == COST_COLUMNS
    assert cost["n_trials"].sum() == 74  # one is missing
    baseline = cost.set_index("arm").loc["baseline"]
    assert (baseline["gpu_hours"], baseline["money"]) == (2.5, 5.0)
    assert baseline["train_s"] == 5 * 20 + 0 + 1 + 2 + 3 + 4
    sentences = " ".join(describe_cost(cost))
    assert "74 recorded trials (1 failed, 1 stopped included) trained for" in sentences
    assert "2 of them recorded no GPU time" in sentences
    assert "36.00 GPU-hours: 72.00 EUR at the stated 2.00 EUR per GPU-hour." in sentences


def test_what_held_gpus_besides_trials_costs_as_well(write_study):
    path = write_study(change_row=lambda trial, row: row | {"cost/gpu_s": 36.0})
    costs = SideCosts(RunLog(path))
    costs.add("features", 1350.0, gpus=2.0)
    costs.add("latency", 900.0, gpus=1.0)
    costs.write()
    data = analysis.load(path).data
    cost = build_cost(data, Price(2.0, "EUR"))
    besides = cost.set_index("arm").iloc[-2:][["n_trials", "gpu_hours", "money"]]
    assert besides.loc["computing features"].tolist() == [0, 0.75, 1.5]
    assert besides.loc["measuring latency"].tolist() == [0, 0.25, 0.5]
    n = len(data.trials)
    hours, euros = 1 + n / 100, 2 + n / 50
    besides = "They, and for 1.00 of them computing features and measuring latency,"
    said = f"{besides} held GPUs for {hours:.2f} GPU-hours: {euros:.2f} EUR"
    assert said in describe_cost(cost)[-1]
    costs.add("features", 500.0, gpus=0.0)  # without a GPU: no GPU-hour
    costs.write()
    assert build_cost(data, Price(2.0, "EUR")).equals(cost)


def test_without_a_price_no_money_is_named(complete_study):
    cost = build_cost(complete_study.data)
    assert cost["money"].isna().all()
    assert describe_cost(cost)[-1] == "No GPU was used."
    assert "no money is named" in describe_cost(cost.assign(gpu_hours=1.0))[-1]
    assert np.isclose(compute_money(900, 4), 1.0)


@pytest.mark.parametrize("text", ["2", "EUR 2", "2 euros", "-1 EUR", "nan EUR", ""])
def test_an_amount_without_its_currency_is_no_price(text):
    with pytest.raises(RequestError, match="is no price; give an amount and a currency"):
        read_price(text)


def test_a_price_is_read_before_the_run_log(tmp_path):
    assert read_price(" 2.10 eur") == Price(2.1, "EUR")
    done = CliRunner().invoke(app, ["nothing", "--runs", str(tmp_path), "--price", "cheap"])
    assert (done.exit_code, "'cheap' is no price" in done.output) == (2, True)


def test_a_mark_carries_its_text_into_the_page_and_not_into_the_paper():
    def plot():
        figure = new_figure(1.0)
        for i, text in enumerate(("first\nseed 0: 0.5 <key>", 'second "quoted"')):
            mark(figure.add_subplot(1, 2, i + 1).plot(0, 0, "o", color=INK)[0], text)
        return figure

    drawing = draw("two", "caption", 'says "what"', plot)
    assert drawing.marks == ("first\nseed 0: 0.5 <key>", 'second "quoted"')
    assert "seed 0" not in drawing.svg
    page = inline_svg(drawing)
    assert 'aria-label="says &#34;what&#34;"' in page
    assert 'id="two-mark-0" class="mark" role="img" tabindex="0" aria-label="first\nseed 0: 0.5 &lt;key&gt;"' in page
    assert 'id="two-mark-1" class="mark" role="img" tabindex="-1"' in page


def test_a_point_names_every_seed_and_trial(complete_study):
    values = arm_values(complete_study.data, "baseline", "mask_iou")
    lines = describe_point("baseline", "mask_iou", (0.655, 0.64, 0.67), values, "Latency: 11.0").split("\n")
    assert lines[:3] == ["baseline", "mask IoU 0.655 [0.640, 0.670], 5 seeds", "Latency: 11.0"]
    assert len(lines) == 8
    assert all(line.endswith(key) for line, key in zip(lines[3:], values["key"], strict=True))
    many = pd.concat([values] * 3)
    assert describe_point("baseline", "mask_iou", (0.6, 0.5, 0.7), many).endswith("and 5 more")


def test_the_trials_of_a_row_fold_under_its_first_cell_where_the_rows_are_not_too_many():
    frame = pd.DataFrame({"arm": ["a", "b"], "n_seeds": [2, 0], "keys": ["a-s0 a-s1", ""]})
    first, second = build_cells(frame, ["arm", "n_seeds"])
    assert [cell.keys for cell in first] == ["a-s0 a-s1", ""]
    assert second[0].keys == ""
    many = pd.concat([frame] * MOST_WITH_TRIALS, ignore_index=True)
    assert build_cells(many, ["arm", "n_seeds"])[0][0].keys == ""
