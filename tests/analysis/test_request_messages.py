"""Wrong requests and damaged files: one sentence with what was given, what is allowed, and why."""

from dataclasses import replace

import pandas as pd
import pytest
from gate_studies import FEW
from study_writer import CLAIM

import analysis
from analysis.recommend import read_budget
from foresight.claim import Criterion
from foresight.errors import RequestError


def test_budgets_of_several_costs_are_all_kept_and_two_of_one_cost_are_refused(write_full, run_analysis):
    assert read_budget(["params_trained=1e6", "flops=2"]) == {"params_trained": 1e6, "flops": 2.0}
    write_full("p2_end_to_end")
    result = run_analysis("p2_end_to_end", "--budget", "params_trained=1e6", "--budget", "params_trained=1e5")
    assert result.exit_code == 2
    said = "--budget limits 'params_trained' twice, to 1e+06 and by 'params_trained=1e5'; keep one of them\n"
    assert result.stderr == said
    with pytest.raises(RequestError, match="'flops=inf' sets no limit"):
        read_budget(["flops=inf"])


@pytest.mark.parametrize(
    ("objectives", "said"),
    [
        (
            "quality,map_50",
            "no trial of study 'p2_end_to_end' measured 'map_50'; its objectives are quality, params_trained",
        ),
        (
            "quality,mask_iuo",
            "'mask_iuo' is no objective of study 'p2_end_to_end' (did you mean 'mask_iou'?); its objectives",
        ),
    ],
)
def test_an_objective_that_is_none_is_told_with_what_is_allowed(write_full, run_analysis, objectives, said):
    write_full("p2_end_to_end")
    result = run_analysis("p2_end_to_end", "--objectives", objectives)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert said in result.stderr


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        (60, "Parquet magic bytes not found in footer. Either the file is corrupted or this is not a parquet file)"),
        (5, "Parquet file size is 5 bytes, smaller than the minimum file footer (8 bytes))"),
    ],
)
def test_the_reason_of_a_truncated_file_is_given_whole(write_full, kept, reason):
    path = write_full("p2_end_to_end")
    trial = next((path / "trials").glob("*/trial.parquet"))
    trial.write_bytes(trial.read_bytes()[:kept])
    with pytest.raises(RequestError) as caught:
        analysis.load(path)
    assert f"'{trial}' cannot be read (" in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize(("n_rows", "held"), [(0, "0 rows"), (2, "2 rows")])
def test_a_trial_without_its_one_row_is_told_as_that(write_full, n_rows, held):
    path = write_full("p2_end_to_end")
    trial = next((path / "trials").glob("*/trial.parquet"))
    row = pd.read_parquet(trial)
    pd.concat([row] * n_rows if n_rows else [row.head(0)]).to_parquet(trial)
    with pytest.raises(RequestError) as caught:
        analysis.load(path)
    assert f"'{trial}' holds {held} where a trial has one with its key; restore it" in str(caught.value)


def test_a_criterion_on_a_time_names_no_test_images(write_full):
    """Training time and latency are measured on the machine: 200 images would lend them a weight that they lack."""
    criteria = (
        Criterion("mask_iou", 0.7, 0.6, 0.5),
        Criterion("latency_overhead", 0.2, 0.25, 0.5),
        Criterion("training_time_ratio", 1.0, 1.5, 2.0),
    )
    claim = replace(CLAIM, criteria=criteria, reference="fusion.layers=2")
    timed = write_full("c2", claim=claim, space=FEW, change_row=lambda trial, row: row | {"test/latency_overhead": 0.1})
    study = analysis.load(timed)
    rows = study.verdicts().query("kind == 'criterion'").set_index("metric")
    assert "(5 seeds, 200 test images; target 0.7)" in rows.loc["mask_iou", "sentence"]
    for metric, target in (("latency_overhead", 0.2), ("training_time_ratio", 1)):
        assert f"(5 seeds; target {target})" in rows.loc[metric, "sentence"]
        assert pd.isna(rows.loc[metric, "n_test"])
    table = study.table().query("arm == 'baseline'").set_index("metric")["n_test"]
    assert (table["mask_iou"], pd.isna(table["latency_overhead"])) == (200, True)
