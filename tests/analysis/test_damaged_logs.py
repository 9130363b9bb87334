"""Run logs that a hand or an accident has changed: one sentence each, and no study stops another."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from gate_studies import MET
from odd_logs import LAYERS, ODD

import analysis
from analysis.gates import build_studies
from analysis.replicates import describe_replicates
from analysis.results_file import build_results
from foresight.claim import hash_claim
from foresight.errors import RequestError
from foresight.runlog import RunLog


def of_the_odd(**changed):
    return lambda trial, row: row | changed if trial.arm.name == ODD else row


def everywhere(**changed):
    return lambda trial, row: row | changed


def edit_sweep(path, change):
    """Rewrites sweep.json by `change`, and the claim's hash with it."""
    sweep = json.loads((path / "sweep.json").read_text())
    change(sweep)
    if isinstance(sweep.get("claim"), dict):
        sweep["claim_hash"] = hash_claim(sweep["claim"])
    (path / "sweep.json").write_text(json.dumps(sweep))
    return path


def refused(path) -> str:
    with pytest.raises(RequestError) as caught:
        analysis.load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change_row", "said"),
    [
        (of_the_odd(**{"test/ssim": "0.4"}), "rows of the run log do not fit together"),
        (everywhere(**{"test/ssim": "0.4"}), "has test/ssim = '0.4', which is text and no number"),
        (of_the_odd(**{"cost/params_trained": -5}), "has cost/params_trained = -5; no cost is below 0"),
        (everywhere(**{"data/n_test": 0}), "says it was tested on 0 rows"),
        (everywhere(**{"data/n_test": 99.5}), "says it was tested on 99.5 rows"),
    ],
)
def test_values_that_nothing_measures(write_study, change_row, said):
    assert said in refused(write_study(space=LAYERS, change_row=change_row))


def swap(trial, row):
    return row | {"arm": {"baseline": ODD, ODD: "baseline"}.get(trial.arm.name, trial.arm.name)}


def shift(trial, row):
    return row | {"seed": trial.seed - 3}


@pytest.mark.parametrize(("change_row", "name"), [(swap, "arm fusion.layers=2"), (shift, "seed -3")])
def test_a_row_of_another_arm_or_seed_than_its_key_is_planned_for(write_study, change_row, name):
    message = refused(write_study(space=LAYERS, change_row=change_row))
    assert f"says {name}, and the manifest plans" in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda sweep: sweep.update(claim=None), "the claim in sweep.json is no JSON object"),
        (lambda sweep: sweep["claim"].update(seeds="5"), "'seeds' is wrong"),
        (lambda sweep: sweep["claim"]["criteria"][0].update(target=None), "'criteria.0.target' is wrong"),
        (
            lambda sweep: sweep["space"]["factors"][0].pop("levels"),
            "the space in sweep.json is damaged (it lacks 'levels')",
        ),
        (lambda sweep: sweep["space"].update(factors=3), "the space in sweep.json is damaged"),
    ],
)
def test_a_damaged_claim_or_space_is_named_and_the_gates_go_on(write_full, change, said):
    path = write_full("p2_end_to_end", claim=MET)
    write_full("c2_validation", claim=MET)
    edit_sweep(path, change)
    assert said in refused(path)
    studies = build_studies(path.parent).set_index("study")
    assert studies.loc["p2_end_to_end", ["status", "state"]].tolist() == ["not readable", "not measured"]
    assert said in studies.loc["p2_end_to_end", "reasons"][0]
    assert studies.loc["c2_validation", "state"] == "met"


def test_a_torn_file_of_another_study_is_told_of_and_stops_nothing(write_study):
    torn = sorted((write_study("torn", space=LAYERS) / "trials").glob("*/trial.parquet"))[0]
    torn.write_bytes(torn.read_bytes()[:50])
    frame = analysis.load(write_study("mine", space=LAYERS)).replicates()
    assert frame.loc[frame["kind"] == "not readable", "name"].tolist() == ["torn"]
    assert any("A file of the study torn beside this one is damaged" in text for text in describe_replicates(frame))


def test_a_study_beside_it_without_a_time_is_no_error(write_study):
    path = write_study("mine")
    other = RunLog(write_study("other"))
    for key in other.statuses():
        table = pq.read_table(other.trials_dir / key / "trial.parquet")
        pq.write_table(table.drop_columns(["cost/train_s"]), other.trials_dir / key / "trial.parquet")
    assert "same seed" in set(analysis.load(path).replicates()["kind"])


@pytest.mark.parametrize("seed", [0.5, "zero"])
def test_a_seed_that_is_no_whole_number(write_study, seed):
    path = write_study()
    log = RunLog(path)
    key = next(iter(log.statuses()))
    table = pq.read_table(log.trials_dir / key / "trial.parquet").to_pandas()
    table.assign(seed=seed).to_parquet(log.trials_dir / key / "trial.parquet")
    assert "seed" in refused(path)


def test_seeds_that_a_table_made_floats_are_the_seeds_they_were(write_study):
    path = write_study()
    log = RunLog(path)
    before = analysis.load(path).verdicts()
    for key in log.statuses():
        table = pq.read_table(log.trials_dir / key / "trial.parquet").to_pandas()
        table.astype({"seed": float}).to_parquet(log.trials_dir / key / "trial.parquet")
    assert analysis.load(path).verdicts().equals(before)


def test_text_among_the_values_of_a_metric(write_study):
    path = write_study(with_details=True)
    log = RunLog(path)
    key = next(iter(log.statuses()))
    samples = log.read_samples(key)
    samples.astype({"mask_iou": str}).to_parquet(log.trials_dir / key / "samples.parquet")
    (path / "consolidated_samples.parquet").unlink(missing_ok=True)
    assert f"samples.parquet of trial {key} has mask_iou of type" in refused(path)


def test_a_latency_that_only_rows_tell_saves_nothing_it_cannot_tell(write_study):
    path = write_study(change_row=lambda trial, row: row | {"cost/latency_ms": 5.0 + (trial.arm.name == "baseline")})
    for file in list((path / "latency").iterdir())[:1]:
        file.unlink()
    assert len(analysis.load(path).simplification())


def test_an_arm_without_any_number_is_no_error_of_the_results(write_study):
    """Complete, and every metric missing: what a hand-written log may hold."""

    def change(trial, row):
        tests = {name: None for name in row if name.startswith("test/")}
        return row | tests if trial.arm.name == ODD else row

    study = analysis.load(write_study(space=LAYERS, change_row=change))
    found = build_results(study).results.experiments[ODD]
    assert (found.metrics, found.finding) == ({}, f"No complete trial of {ODD} has mask IoU.")
    assert pd.isna(study.table().query("arm == @ODD and role == 'primary'")["mean"].iloc[0])
