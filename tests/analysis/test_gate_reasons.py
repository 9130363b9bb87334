"""What closes a gate although every criterion is met: images that are not proved unseen, trials without a claim."""

import json
from dataclasses import replace

import pytest
import yaml
from gate_studies import MET, SWEEP, WAIVER, waivers_yaml
from odd_logs import rewrite
from study_writer import SET_HASHES
from study_writer import SWEEP as TINY_SWEEP

import analysis
from analysis.gate import closed_by, state_of
from analysis.results_file import build_results
from foresight.claim import Criterion
from foresight.runlog import RunLog

FROM_A_HAND = {"data/train_hash": None, "data/val_hash": None}


def of_the_baseline(**changed):
    """Changes the rows of the judged arm alone."""
    return lambda trial, row: row | changed if trial.arm.name == "baseline" else row


def of_the_other_arm(**changed):
    return lambda trial, row: row | changed if trial.arm.name != "baseline" else row


def test_test_images_that_are_not_proved_unseen_open_no_gate(write_full, run_analysis):
    path = write_full("p2_end_to_end", claim=MET)
    for split in (path / "splits").glob("*.parquet"):
        split.unlink()
    gate = analysis.load(path).gate()
    assert gate["state"].tolist() == ["met", "unproven"]
    (sentence,) = closed_by(gate)
    assert "Nothing proves the test images of 5 trials of the judged arm" in sentence
    assert "(the hashes of their training, validation and test images are not kept)" in sentence
    assert state_of(gate) == "unproven"
    assert run_analysis("p2_end_to_end", "--gate").exit_code == 3
    found = json.loads(run_analysis("gates", "--json").stdout)
    assert [row["state"] for row in found["gates"] if row["study"] == "p2_end_to_end"] == ["unproven"]


def test_a_row_that_names_no_training_images_proves_nothing(write_full):
    gate = analysis.load(write_full("p2_end_to_end", claim=MET, change_row=of_the_baseline(**FROM_A_HAND))).gate()
    assert "(the row does not say which images were trained on): such numbers open no gate." in closed_by(gate)[0]


@pytest.mark.parametrize("changed", [FROM_A_HAND, {"env/claim_hash": None}])
def test_arms_that_no_criterion_rests_on_close_nothing(write_full, changed):
    study = analysis.load(write_full("p2_end_to_end", claim=MET, change_row=of_the_other_arm(**changed)))
    assert closed_by(study.gate()) == []
    assert {"unproven", "no_claim_hash"} & {caution.kind for caution in study.cautions()}


def test_trials_that_do_not_say_for_which_claim_they_ran_open_no_gate(write_full):
    study = analysis.load(
        write_full("p2_end_to_end", claim=MET, change_row=of_the_baseline(**{"env/claim_hash": None}))
    )
    (sentence,) = closed_by(study.gate())
    assert sentence.startswith("5 trials of the judged arm, or behind a criterion, without the hash of the claim")
    assert state_of(study.gate()) == "no hash"
    (text,) = (caution.text for caution in study.cautions() if caution.kind == "no_claim_hash")
    assert text.startswith("5 complete trials without the hash of a claim, so nothing shows that the claim was fixed")


def test_what_the_results_recommend_is_what_the_gate_says(write_full, run_analysis):
    """The same numbers, every criterion met: at toy scale there is no verdict, at full scale there is one."""
    for name, sweep, success, recommendation, confidence, code in (
        ("p2_end_to_end", TINY_SWEEP, None, "investigate", "low", 3),
        ("c2_validation", SWEEP, True, "proceed", "high", 0),
    ):
        study = analysis.load(write_full(name, claim=MET, sweep=sweep))
        assert run_analysis(name, "--gate").exit_code == code
        results = build_results(study)
        assert (results.assessment.success_criteria_met, results.recommendation) == (success, recommendation)
        assert (results.assessment.confidence, not results.blockers) == (confidence, code == 0)
    assert (
        "Toy encoders show nothing of pretrained ones"
        in build_results(analysis.load(write_full("p2_end_to_end", claim=MET, sweep=TINY_SWEEP))).recommendation_notes
    )


def test_a_gate_that_is_open_by_waiver_is_recommended_and_no_success(write_full, run_analysis, tmp_path):
    write_full("p2_end_to_end")
    waivers_yaml(tmp_path, WAIVER)
    assert run_analysis("p2_end_to_end", "--gate").exit_code == 0
    found = yaml.safe_load((tmp_path / "results" / "p2_end_to_end" / "results.yaml").read_text())
    assert (found["recommendation"], found["assessment"]["success_criteria_met"]) == ("proceed", False)
    assert found["recommendation_notes"] == "Of 2 criteria: 1 met, 1 waived, which is no pass."


# --- numbers that show nothing --------------------------------------------------------------------------------------


def test_what_a_trivial_predictor_does_as_well_opens_no_gate(write_full, run_analysis):
    path = write_full(
        "p2_end_to_end", claim=MET, change_row=lambda trial, row: row | {"baseline/centred_disc/mask_iou": 0.9}
    )
    study = analysis.load(path)
    (sentence,) = closed_by(study.gate())
    assert sentence.startswith("baseline has mask IoU 0.6")
    assert "no better than the trivial predictor centred_disc (0.900)" in sentence
    assert state_of(study.gate()) == "trivial"
    assert run_analysis("p2_end_to_end", "--gate").exit_code == 3
    results = build_results(study)
    assert (results.assessment.success_criteria_met, results.recommendation) == (None, "investigate")


ON_CLIPS = replace(MET, criteria=(*MET.criteria, Criterion("temporal_lpips_variance", 0.02, 0.02, 0.05, on="clips")))


def with_clips(trial, row):
    """A reconstruction that flickers a little, and a still picture that does not."""
    clips = {"n": 6, "hash": SET_HASHES["data/test_hash"], "temporal_lpips_variance": 0.01 + trial.seed / 1000}
    clips |= {"baseline/mean_image/temporal_lpips_variance": 0.0}
    return row | {f"heldout/clips/{name}": value for name, value in clips.items()}


def test_a_still_picture_is_no_floor_for_steadiness(write_full):
    """It has the best value there is by drawing nothing of the clip, so nobody is asked to beat it."""
    study = analysis.load(write_full("p2_end_to_end", claim=ON_CLIPS, change_row=with_clips))
    assert (closed_by(study.gate()), state_of(study.gate())) == ([], "met")


@pytest.mark.parametrize(("claim", "state"), [(ON_CLIPS, "unproven"), (MET, "met")])
def test_a_further_set_that_is_not_proved_unseen_closes_the_criterion_on_it(write_full, claim, state):
    unkept = {"heldout/clips/hash": "0" * 16}
    study = analysis.load(write_full("p2", claim=claim, change_row=lambda trial, row: with_clips(trial, row) | unkept))
    assert state_of(study.gate()) == state
    assert [sentence[:72] for sentence in closed_by(study.gate())] == (
        ["Nothing proves the images of the further set clips of 5 trials of the ju"] if state == "unproven" else []
    )


def test_a_study_of_steadiness_is_not_cautioned_for_its_trivial_predictors(write_full):
    claim = replace(MET, primary="temporal_lpips_variance", criteria=())

    def change(scores):
        return lambda trial, row: row | {"test/temporal_lpips_variance": 0.01 + trial.seed / 1000} | scores

    for scores in ({"baseline/mean_image/temporal_lpips_variance": 0.0}, {}):
        study = analysis.load(write_full("p2_end_to_end", claim=claim, change_row=change(scores)))
        assert not {"trivial", "no_trivial"} & {caution.kind for caution in study.cautions()}


EFFICIENT = replace(
    MET,
    reference="fusion.layers=2",
    criteria=(
        Criterion("param_efficiency_random_trunk", 0.9, 0.85, 0.8),
        Criterion("lpips_random_trunk", 0.3, 0.4, 0.5),
    ),
)


@pytest.mark.parametrize(
    ("converged", "said"),
    [
        (0.0, "The reference fusion.layers=2 had not converged in 5 of 5 trials."),
        (None, "No trial of the reference fusion.layers=2 records whether its training had converged."),
    ],
)
def test_an_efficiency_needs_a_reference_that_had_converged(write_full, converged, said):
    study = analysis.load(
        write_full("c2_validation", claim=EFFICIENT, change_row=of_the_other_arm(**{"train/converged": converged}))
    )
    (sentence,) = closed_by(study.gate())
    assert sentence == f"{said} An efficiency against it opens no gate."
    assert state_of(study.gate()) == "not converged"
    assert study.param_efficiency()["warnings"].str.contains(said, regex=False).all()
    assert build_results(study).recommendation == "investigate"


def test_a_reference_that_ended_by_its_criterion_opens_it(write_full):
    change = of_the_other_arm(**{"train/converged": 1.0})
    assert closed_by(analysis.load(write_full("c2_validation", claim=EFFICIENT, change_row=change)).gate()) == []


@pytest.mark.parametrize(("margin", "is_open"), [(0.02, False), (0.1, True)])
def test_a_curve_that_is_flat_at_its_end_shows_a_fixed_length_to_be_enough(write_full, margin, is_open):
    """The writer's curves gain 0.03 in their last two of ten epochs."""
    study = analysis.load(write_full("c2_validation", claim=replace(EFFICIENT, margin=margin), with_details=True))
    sentences = closed_by(study.gate())
    assert (sentences == []) is is_open
    if not is_open:
        assert (
            "was still improving: validation mask IoU rose by more than the margin of 0.02 in the last" in sentences[0]
        )


def curves_of(lpips: list[float], name: str = "val/lpips_random_trunk") -> list[dict]:
    """A mask that has settled, and what becomes of the picture meanwhile."""
    return [{"epoch": i, "val/mask_iou": 0.7, name: value} for i, value in enumerate(lpips, start=1)]


FALLING = [0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.45, 0.4, 0.3]
SETTLED = [0.9, 0.6, 0.4, 0.32, 0.31, 0.305, 0.303, 0.302, 0.301, 0.3]


@pytest.mark.parametrize(
    ("epochs", "said"),
    [
        (
            curves_of(FALLING),
            "validation LPIPS (random trunk) fell by more than 5 % in the last 20 % of its epochs in 5 of",
        ),
        (curves_of(SETTLED), ""),
        (
            curves_of(FALLING, "val/loss"),
            "validation loss fell by more than 5 % in the last 20 % of its epochs in 5 of",
        ),
        (curves_of(SETTLED, "val/loss"), ""),
        (curves_of(SETTLED, "val/mse"), "No trial of the reference fusion.layers=2 records whether its training had"),
    ],
)
def test_a_curve_must_be_flat_in_what_the_ratio_is_made_of(write_full, epochs, said):
    """Where no epoch validates LPIPS, the validation loss stands for it; another metric does not."""
    path = write_full("c2_validation", claim=EFFICIENT)
    rewrite(RunLog(path), "fusion.layers=2", epochs=epochs)
    study = analysis.load(path)
    reasons = closed_by(study.gate())
    assert [said in reason for reason in reasons] == ([True] if said else [])
    assert all(said in warnings for warnings in study.param_efficiency()["warnings"])
    assert ("still improving" in " ".join(study.param_efficiency()["warnings"])) is ("fell" in said)


def test_an_efficiency_beside_no_limit_to_what_it_compares_opens_no_gate(write_full):
    alone = replace(EFFICIENT, criteria=EFFICIENT.criteria[:1])
    change = of_the_other_arm(**{"train/converged": 1.0})
    study = analysis.load(write_full("c2_validation", claim=alone, change_row=change))
    (sentence,) = closed_by(study.gate())
    assert "sets no limit to LPIPS (random trunk) itself" in sentence
    assert state_of(study.gate()) == "ratio alone"
