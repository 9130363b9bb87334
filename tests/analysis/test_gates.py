"""Gates of one study and of the plan, with waivers and without."""

import json
from dataclasses import replace

import pytest
from gate_studies import MET, SWEEP, WAIVER, waivers_yaml
from study_writer import CLAIM
from study_writer import SWEEP as TINY_SWEEP

import analysis
from analysis.assessment import arm_statuses
from analysis.gate import closed_by, state_of
from analysis.gates import build_gates, build_studies, compute_gate_status
from analysis.waivers import read_waivers
from foresight.amendment import amend
from foresight.claim import Criterion

# --- one study -------------------------------------------------------------------------------------------------------


def test_a_gate_is_open_when_every_criterion_is_met(write_full, run_analysis):
    study = analysis.load(write_full("p2_end_to_end", claim=MET))
    assert (closed_by(study.gate()), state_of(study.gate())) == ([], "met")
    result = run_analysis("p2_end_to_end", "--gate")
    assert result.exit_code == 0
    assert "gate" not in result.stderr


def imported(trial, row):
    return row | {"provenance": "imported"}


def simulated(trial, row):
    return row | {"provenance": "simulated"}


def one_missing(trial, row):
    return None if (trial.seed, trial.arm.name) == (4, "fusion.layers=2") else row


@pytest.mark.parametrize(
    ("change_row", "state", "said"),
    [
        (imported, "imported", "5 trials of the judged arm were imported, not run by this system"),
        (simulated, "simulated", "5 trials of the judged arm were simulated, not run by this system"),
        (one_missing, "not complete", "The study is in progress: not every planned trial is complete."),
    ],
)
def test_what_keeps_a_gate_closed_although_every_criterion_is_met(write_full, tmp_path, change_row, state, said):
    waivers = read_waivers(waivers_yaml(tmp_path, WAIVER | {"metric": "mask_iou"}), ["p2_end_to_end"])
    gate = analysis.load(write_full("p2_end_to_end", claim=MET, change_row=change_row), waivers=waivers).gate()
    assert gate.loc[gate["what"] == "criterion", "verdict"].tolist() == ["met"]
    (sentence,) = closed_by(gate)
    assert said in sentence
    assert state_of(gate) == state


@pytest.mark.parametrize("sweep", [TINY_SWEEP, SWEEP | {"scale": "tiny"}, SWEEP | {"scale_note": "toy encoders"}])
def test_a_study_at_toy_scale_opens_no_gate(write_full, run_analysis, sweep):
    gate = analysis.load(write_full("c2_validation", claim=MET, sweep=sweep)).gate()
    assert gate["state"].tolist() == ["met", "toy scale"]
    assert closed_by(gate) == ["Toy scale: opens no gate, since toy encoders show nothing of pretrained ones."]
    assert state_of(gate) == "toy scale"
    result = run_analysis("c2_validation", "--gate")
    assert result.exit_code == 3
    assert "gate closed: Toy scale: opens no gate" in result.stderr
    found = json.loads(run_analysis("gates", "--json").stdout)
    assert [row["state"] for row in found["gates"] if row["study"] == "c2_validation"] == ["toy scale"]


def test_a_study_with_fewer_seeds_than_its_claim_asks_for_is_in_progress(write_full):
    study = analysis.load(write_full("p2_end_to_end", claim=MET, n_seeds=4))
    assert set(arm_statuses(study.data).values()) == {"in_progress"}
    assert "The study is in progress: 4 of 5 registered seeds are planned." in closed_by(study.gate())


def relative_to(provenance: str, **changed):
    """The reference, which is not the judged arm, has LPIPS twice the judged arm's and another provenance."""

    def change(trial, row):
        if trial.arm.name == "baseline":
            return row | {"test/lpips": 0.2}
        return row | {"test/lpips": 0.4, "provenance": provenance, "train/converged": 1.0} | changed

    return change


def test_a_relative_criterion_opens_no_gate_by_the_numbers_of_an_imported_reference(write_full):
    criteria = (Criterion("param_efficiency", 0.9, 0.85, 0.8), Criterion("lpips", 0.25, 0.3, 0.4))
    fields = {"claim": replace(CLAIM, reference="fusion.layers=2", criteria=criteria)}
    assert closed_by(analysis.load(write_full("own", change_row=relative_to("trained"), **fields)).gate()) == []
    gate = analysis.load(write_full("copied", change_row=relative_to("imported"), **fields)).gate()
    (sentence,) = closed_by(gate)
    assert "5 trials of fusion.layers=2, on which a criterion rests, were imported" in sentence
    assert state_of(gate) == "imported"
    elsewhere = relative_to("imported", **{"data/test_hash": None})
    assert state_of(analysis.load(write_full("elsewhere", change_row=elsewhere, **fields)).gate()) == "not measured"


def test_a_claim_without_criteria_or_without_a_hash_opens_nothing(write_full):
    study = analysis.load(write_full("p2_end_to_end", claim=replace(CLAIM, criteria=())))
    assert closed_by(study.gate()) == ["The claim names no criterion, so nothing was shown."]
    path = write_full("c2_validation", claim=MET)
    sweep = json.loads((path / "sweep.json").read_text())
    del sweep["claim_hash"]
    (path / "sweep.json").write_text(json.dumps(sweep))
    assert "nothing shows that it was fixed before the trials" in closed_by(analysis.load(path).gate())[0]


def test_a_gate_takes_all_its_metrics_from_the_judged_arm(write_full):
    """The other arm has what the baseline lacks: it does not count."""

    def change(trial, row):
        return row | {"test/lpips": 0.1} if trial.arm.name != "baseline" else row

    gate = analysis.load(write_full("p2_end_to_end", change_row=change)).gate()
    assert gate.set_index("metric")["state"].to_dict() == {"mask_iou": "met", "lpips": "not measured"}


# --- the gates of the plan -------------------------------------------------------------------------------------------


def test_gates_roll_up_every_study_and_an_unmeasured_experiment_closes_them(write_full, run_analysis):
    write_full("p2_end_to_end")
    write_full("c2_validation", claim=MET)
    write_full("c2_training", change_row=lambda trial, row: row | {"status": "failed"})
    result = run_analysis("gates", "--json")
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    state = {(row["gate"], row["experiment"]): row["state"] for row in found["gates"]}
    assert state["gate_1_reconstruction", "P2"] == "not measured"
    assert state["gate_1_reconstruction", "Q1"] == "not measured"
    assert state["gate_2_bridging", "C2"] == "met"
    assert {row["status"] for row in found["gates"]} == {"closed"}
    studies = {row["study"]: row for row in found["studies"]}
    assert studies["c2_training"]["status"] == "not readable"
    assert "has no complete trial (10 failed)" in studies["c2_training"]["reasons"][0]
    assert (studies["p2_end_to_end"]["criteria_met"], studies["p2_end_to_end"]["criteria"]) == (1, 2)
    text = run_analysis("gates").stdout
    assert "gate_2_bridging: closed.\n  C2 (c2_validation): met.\n  Q3: not measured." in text


def test_an_amended_study_says_so_at_its_gates_although_it_is_met(write_full, run_analysis):
    registered = SWEEP | {"claim": CLAIM.to_json(), "claim_hash": CLAIM.hash}
    change = {"made": "2026-11-20T09:00:00+00:00", "n_complete": 1, "added": ["fusion layers 8"], "removed": []}
    history = {
        "amendments": amend(registered, MET, "no trunk", 4, has_looks=False)["amendments"],
        "space_changes": [change],
    }
    write_full("c2_validation", claim=MET, sweep=SWEEP | history)
    found = json.loads(run_analysis("gates", "--json").stdout)
    (row,) = (row for row in found["gates"] if row["study"] == "c2_validation")
    (study,) = found["studies"]
    assert row["state"] == study["state"] == "met"
    for reasons in (row["reasons"], study["reasons"]):
        assert sum("the claim was amended, since no trunk" in reason for reason in reasons) == 1
        assert sum("what varies was changed: added fusion layers 8" in reason for reason in reasons) == 1
    assert "the claim was amended, since no trunk" in run_analysis("gates").stdout
    result = run_analysis("c2_validation", "--gate")
    assert result.exit_code == 0
    assert "amended: After 4 complete trials" in result.stderr


def test_a_plan_whose_experiments_are_all_met_or_waived(write_full, run_analysis, tmp_path, monkeypatch):
    from analysis.gate_definitions import Experiment, GateDefinition

    definitions = (GateDefinition("g", "?", (Experiment("P2", "?", "p2_end_to_end"),), "phase 2"),)
    path = write_full("p2_end_to_end")
    monkeypatch.setattr("analysis.gates.GATES", definitions)
    waived = read_waivers(waivers_yaml(tmp_path, WAIVER), ["p2_end_to_end"])
    assert build_gates(build_studies(path.parent, waived), definitions)["status"].tolist() == ["open by waiver"]
    assert build_gates(build_studies(path.parent), definitions)["status"].tolist() == ["closed"]
    write_full("p2_end_to_end", claim=MET)
    assert build_gates(build_studies(path.parent), definitions)["status"].tolist() == ["passed"]


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (["met", "met"], "passed"),
        (["met", "waived"], "open by waiver"),
        (["met", "undecided"], "closed"),
        (["imported"], "closed"),
        ([], "closed"),
    ],
)
def test_status_of_a_gate(states, status):
    assert compute_gate_status(states) == status


def test_gates_of_a_folder_that_is_not_there(run_analysis):
    result = run_analysis("gates", "--runs", "nowhere")
    assert (result.exit_code, result.stderr) == (2, "there is no folder 'nowhere'; choose another --runs\n")
