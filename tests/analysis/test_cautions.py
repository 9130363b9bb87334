"""What a reader must know: each caution from a small run log with one thing odd, and none without it."""

import numpy as np
import pytest
from odd_logs import LAYERS, ODD, rewrite, samples_of
from study_writer import CLAIM, StudyWriter, space

import analysis
from foresight.claim import Claim, Criterion
from foresight.config import TrialConfig
from foresight.runlog import SCHEMA_VERSION
from foresight.space import Factor


def test_a_study_without_anything_odd(cautions):
    assert set(cautions(with_details=True)) <= {"tied"}


# --- what the numbers can mean ---------------------------------------------------------------------------------------


def test_no_better_than_a_trivial_predictor_by_a_criterions_metric(cautions):
    claim = Claim("?", "mask_iou", 0.02, 0.05, 2, (Criterion("ssim", 0.8, 0.7, 0.6),))
    text = cautions({"test/ssim": 0.1, "baseline/mean_image/ssim": 0.2}, claim=claim)["trivial"]
    assert f"trivial predictor mean_image (SSIM 0.200): {ODD} (0.100)." in text


def test_no_trivial_predictor_at_all(cautions):
    without = {f"baseline/{name}/mask_iou": None for name in ("mean_image", "centred_disc")}
    assert "No trivial predictor was scored by mask IoU" in cautions(without, everywhere=True)["no_trivial"]


def exact(values: dict[str, tuple[float, ...]]):
    return lambda trial, row: row | {"test/mask_iou": values[trial.arm.name][trial.seed]}


def test_the_best_arm_whose_interval_overlaps_the_next(cautions):
    close = {"baseline": (0.61, 0.62, 0.63), ODD: (0.612, 0.619, 0.632), "fusion.layers=6": (0.1, 0.11, 0.12)}
    claim = Claim("?", "mask_iou", 0.02, 0.05, 3)
    text = cautions(change_row=exact(close), n_seeds=3, claim=claim)["tied"]
    assert text.startswith("No arm is shown to be the best by mask IoU: the interval of fusion.layers=2 (0.621 [")
    assert "overlaps that of another, baseline (0.620 [" in text
    assert text.endswith(", and no difference paired by seed tells them apart.")
    apart = close | {ODD: (0.912, 0.922, 0.931)}
    assert "tied" not in cautions(change_row=exact(apart), n_seeds=3, claim=claim)


BLOCK = np.array([-0.06, -0.03, 0.0, 0.03, 0.06])  # what a seed does to every arm
PAIRED = {"baseline": 0.3 + BLOCK, ODD: 0.6 + BLOCK, "fusion.layers=6": 0.63 + BLOCK}
NOISE = np.array([0.001, -0.001, 0, 0.001, -0.001])


def test_intervals_that_overlap_only_by_what_a_seed_does_to_both_arms(cautions):
    """At every seed 6 layers are 0.03 better than 2 layers: pairing sees it, and the arms' own intervals do not."""
    values = PAIRED | {"fusion.layers=6": PAIRED["fusion.layers=6"] + NOISE}
    text = cautions(change_row=exact(values), n_seeds=5, claim=Claim("?", "mask_iou", 0.02, 0.05, 5))["tied"]
    assert text.startswith("fusion.layers=6 (0.630 [")
    assert "has the best mean mask IoU and its interval overlaps that of fusion.layers=2 (0.600 [" in text
    assert "but paired by seed they are apart: fusion.layers=2 differs by −0.030 [−0.032, −0.028]." in text


@pytest.mark.parametrize(("n_seeds", "noise"), [(4, NOISE), (5, 0 * NOISE)])
def test_too_few_seeds_or_a_difference_without_noise_tell_no_arms_apart(cautions, n_seeds, noise):
    values = PAIRED | {"fusion.layers=6": PAIRED["fusion.layers=6"] + noise}
    text = cautions(change_row=exact(values), n_seeds=n_seeds, claim=Claim("?", "mask_iou", 0.02, 0.05, 5))["tied"]
    assert text.startswith("No arm is shown to be the best by mask IoU: the interval of fusion.layers=6 (")


def test_the_best_arm_where_lower_is_better(cautions):
    claim = Claim("?", "mse", 0.001, 0.05, 2)
    values = {"baseline": (0.030, 0.031), ODD: (0.020, 0.021), "fusion.layers=6": (0.0205, 0.0215)}

    def change(trial, row):
        return row | {"test/mse": values[trial.arm.name][trial.seed]}

    text = cautions(change_row=change, claim=claim)["tied"]
    assert "the interval of fusion.layers=2 (0.0205 [" in text


def test_a_metric_at_its_bound(cautions):
    def change(trial, row):
        return row | {"test/edge_f1": 0.0 if trial.arm.name != "baseline" else 0.1 + trial.seed / 100}

    text = cautions(change_row=change)["saturated"]
    assert text == "Edge F1 is at its bound of 0 in 4 of 6 trials, and cannot tell those apart."
    few = {"test/edge_f1": 0.1}
    assert "saturated" not in cautions(few)


def test_images_at_a_bound(cautions):
    text = cautions(edit=lambda log: rewrite(log, ODD, samples_of([1.0] * 150 + [0.2] * 50), **{"test/mask_iou": 0.8}))
    assert f"Mask IoU is at its bound of 1 on most test images in {ODD} (75 %)." in text["saturated"]


def test_numbers_that_look_typed(cautions):
    def change(trial, row):
        return row | {"test/ssim": 0.671 + trial.seed / 1000, "test/mask_iou": 0.5 + trial.seed / 200}

    text = cautions(change_row=change)["typed"]
    assert text.startswith("All 6 values of SSIM end after at most 4 decimals")
    assert "mask IoU" not in text  # every one is k of 200 images
    imported = cautions(change_row=lambda trial, row: change(trial, row) | {"provenance": "imported"})
    assert "typed" not in imported


# --- factors that cannot act -----------------------------------------------------------------------------------------


def copying(source: str, target: str):
    numbers: dict[int, dict] = {}

    def change(trial, row):
        mine = {name: value for name, value in row.items() if name.startswith("test/")}
        if trial.arm.name == source:
            numbers[trial.seed] = mine
        return row | numbers[trial.seed] if trial.arm.name == target else row

    return change


def test_arms_that_repeat_each_other(cautions):
    found = cautions(change_row=copying(ODD, "fusion.layers=6"))
    assert found["equal_arms"].endswith(f"changes nothing: {ODD} = fusion.layers=6.")
    assert not {"inert", "inert_factor"} & set(found)


def test_a_factor_of_which_no_level_acts(cautions):
    both = space((Factor("fusion layers", "fusion.layers", (2, 4)), Factor("queries", "fusion.queries", (32, 64))))
    found = cautions(space=both, change_row=copying("baseline", ODD))
    assert found["inert_factor"] == (
        "No level of fusion layers changes any number, so this study says nothing about it."
    )
    assert f"{ODD} (2 seeds)" in found["inert"]


def timed(trial, row):
    """Another time in every trial, as of two runs of one model."""
    return row | {"test/latency_overhead": 0.2 + trial.seed / 10 + trial.config.fusion.layers / 1000}


def test_a_time_does_not_hide_that_nothing_else_differs(cautions):
    copy = copying("baseline", ODD)
    found = cautions(change_row=lambda trial, row: timed(trial, copy(trial, row)))
    assert f"{ODD} (2 seeds)" in found["inert"]


def test_where_times_are_all_that_was_measured_they_are_told_apart(cautions):
    def change(trial, row):
        return timed(trial, {name: value for name, value in row.items() if not name.startswith("test/")})

    timing = Claim("?", "latency_overhead", 0.02, 0.05, 2)
    assert not {"inert", "equal_arms"} & set(cautions(claim=timing, change_row=change))


def test_a_factor_of_a_factorial_that_cannot_act(cautions):
    both = space(
        (Factor("fusion layers", "fusion.layers", (2, 4)), Factor("queries", "fusion.queries", (32, 64))), "factorial"
    )

    def blind(trial, row):  # to the layers
        value = 0.5 + trial.seed / 97 + trial.config.fusion.queries / 1000
        return row | {name: value for name in row if name.startswith("test/")} | {"test/psnr": 10 * value}

    found = cautions(space=both, change_row=blind)
    assert found["inert_factor"].startswith("No level of fusion layers changes any number")


def test_what_the_check_before_the_run_saw(cautions):
    def edit(log):
        log.write_sweep(log.read_sweep() | {"sensitivity": {ODD: 1e-7, "fusion.layers=6": 0.2, "diverged": None}})

    text = cautions(edit=edit)["insensitive"]
    assert ODD in text
    assert "layers=6" not in text


# --- shared GPUs -----------------------------------------------------------------------------------------------------


def test_times_of_trials_that_had_different_parts_of_a_gpu(cautions):
    text = cautions({"env/gpu_share": 1 / 3})["mixed_shares"]
    assert "different shares of a GPU (a whole one for 4 trials; 1/3 for 2 trials)" in text
    assert "cost/train_s, time ratios" in text
    assert "mixed_shares" not in cautions({"env/gpu_share": 0.25}, everywhere=True)
    assert "mixed_shares" not in cautions()


# --- training --------------------------------------------------------------------------------------------------------


def test_another_number_of_epochs_than_declared(cautions):
    epochs = TrialConfig().train.epochs
    declared = {"train/epochs_run": epochs + 30}
    text = cautions(declared)["other_length"]
    assert text.count(f"({epochs + 30} of {epochs})") == 2
    assert "other_length" not in cautions({"train/epochs_run": epochs})
    assert "other_length" not in cautions(declared | {"train/converged": 1.0})  # it ended by its criterion
    head = {"config/task": "end_to_end", "config/head_train.epochs": epochs}
    assert "other_length" not in cautions(declared | head)  # its head is what such a trial trains


def test_a_curve_with_a_hole(cautions):
    def curve(*values):
        return [{"epoch": i, "train/loss": 0.5, "val/mse": value} for i, value in enumerate(values, start=1)]

    for broken in (float("nan"), float("inf")):
        text = cautions(edit=lambda log, v=broken: rewrite(log, ODD, epochs=curve(0.1, v, 0.1)))["not_finite"]
        assert "no finite number in 2 complete trials" in text
    assert "not_finite" not in cautions(edit=lambda log: rewrite(log, ODD, epochs=curve(0.1, 0.1)))


def test_sizes_that_miss_their_label_or_vary_in_an_arm(cautions):
    text = cautions({"cost/budget_params": 10_000_000, "cost/params_trained": 8_109_952})["off_label"]
    assert text.endswith(f"by more than 5 % in {ODD} (8.11 M for 10 M).")
    assert "off_label" not in cautions({"cost/budget_params": 8_000_000, "cost/params_trained": 8_109_952})

    def change(trial, row):
        return row | {"cost/params_trained": 100 + trial.seed} if trial.arm.name == ODD else row

    assert ODD in cautions(change_row=change)["several_sizes"]


# --- the log ---------------------------------------------------------------------------------------------------------


def test_rows_of_an_earlier_schema_are_read_and_named(cautions):
    text = cautions({"schema_version": 1})["older_schema"]
    assert text.startswith("2 complete trials written with schema version 1 of the run log")
    assert "cost/budget_params" in text
    assert "older_schema" not in cautions({"schema_version": SCHEMA_VERSION})


def test_simulated_trials_alone_are_analysed_and_named_first_of_all(cautions):
    found = cautions({"provenance": "simulated"}, everywhere=True)
    assert "All 6 complete trials are simulated" in found["simulated"]
    assert "unproven" not in found


def test_simulated_trials_never_stand_beside_trained_ones(tmp_path):
    def change(trial, row):
        return row | {"provenance": "simulated"} if trial.arm.name == ODD else row

    study = analysis.load(StudyWriter(tmp_path / "study", space=LAYERS, n_seeds=2, change_row=change).write())
    primary = study.table().query("role == 'primary'").set_index("arm")
    assert (primary.loc[ODD, "n_seeds"], primary.loc["baseline", "n_seeds"]) == (0, 2)
    texts = [c.text for c in study.cautions() if c.kind == "provenance"]
    assert texts == ["2 trials of provenance simulated left out of every table, where others were trained."]
    assert study.coverage().query("scope == 'study'")["missing"].iloc[0] == 2


def test_many_failures_are_counted(cautions):
    def change(trial, row):
        return row | {"status": "failed", "error": "died"} if trial.seed > 0 else row

    found = cautions(change_row=change, n_seeds=4)
    assert "9 trials failed, 4 of them not named here; most in" in found["failed"]
    assert found["failed"].count("failed: died") == 5


def test_the_claim_of_the_writer_is_judged_on_what_these_logs_measure():
    assert CLAIM.primary == "mask_iou"


def test_a_trial_whose_samples_are_gone_is_named(write_study):
    path = write_study(n_seeds=2, with_details=True)
    key = analysis.load(path).data.complete["key"].iloc[0]
    (path / "trials" / key / "samples.parquet").unlink()
    for derived in path.glob("consolidated*.parquet"):
        derived.unlink()
    texts = {caution.kind: caution.text for caution in analysis.load(path).cautions()}
    assert texts["without_samples"].startswith("1 complete trial without samples.parquet")
    assert key in texts["without_samples"]
