"""Noise from trials that should be equal, from what arm and seed leave, and over seeds; by hand."""

import dataclasses
import math

import pandas as pd
import pytest
from study_writer import CLAIM, FACTORS, StudyWriter, space

import analysis
from analysis.replicates import compute_pooled_sd, describe_replicates
from foresight.power import estimate_noise
from foresight.runlog import RunLog

SPACE = space((FACTORS[1],))  # the baseline of 4 layers, and 2, 6, 8
CLAIM_OF_3 = dataclasses.replace(CLAIM, seeds=3)


def write(root, value, n_seeds=3, train_s=0.0, **fields):
    def change(trial, row):
        found = {"test/mask_iou": value(trial.arm.name, trial.seed), "cost/train_s": 20.0 + trial.seed + train_s}
        return row | found

    return StudyWriter(root, change_row=change, space=SPACE, claim=CLAIM_OF_3, n_seeds=n_seeds, **fields).write()


def test_pooled_within_seeds_by_hand():
    values = pd.DataFrame({"seed": [0, 0, 1, 1, 1, 2], "value": [1.0, 3.0, 4.0, 5.0, 6.0, 9.0]})
    # squares 2 with df 1 and 2 with df 2; seed 2 has one value and says nothing
    assert compute_pooled_sd(values) == (pytest.approx(math.sqrt(4 / 3)), 3, 2.0)


def test_residual_block_and_seed_noise_by_hand(tmp_path):
    # seeds shift all by -0.01, 0, 0.01; arm 8 has a further 0.03, -0.06, 0.03, of which the model leaves it 3/4
    shift = {"fusion.layers=8": (0.03, -0.06, 0.03)}
    study = analysis.load(write(tmp_path / "s", lambda a, s: 0.6 + 0.01 * (s - 1) + shift.get(a, (0, 0, 0))[s]))
    frame = study.replicates()
    assert frame["kind"].tolist() == ["residual", "block", *["over seeds"] * 4]
    residual, block = frame.iloc[0], frame.iloc[1]
    # residuals: 3/4 of 0.03, -0.06, 0.03 in arm 8 and -1/4 in the three others: squares (9 + 3) / 16 * 0.0054
    assert residual["sd"] == pytest.approx(math.sqrt(12 / 16 * 0.0054 / 6))
    assert (residual["df"], residual["n_trials"], residual["n_seeds"]) == (6, 12, 3)
    effects = [-0.01 + 0.03 / 4, -0.06 / 4, 0.01 + 0.03 / 4]  # of the seeds, as the model sees them
    mean = sum(effects) / 3
    assert block["sd"] == pytest.approx(math.sqrt(sum((e - mean) ** 2 for e in effects) / 2))
    arms = frame.set_index("name")
    assert arms.loc["baseline", "sd"] == pytest.approx(0.01)
    assert arms.loc["fusion.layers=8", "residual_sd"] == pytest.approx(math.sqrt(9 / 16 * 0.0054 / (2 * 3 / 4)))
    sentences = describe_replicates(frame)
    assert sentences[0].startswith("No configuration was run twice at one seed")
    assert "0.0260" in sentences[1]
    assert "as a difference from the baseline" not in sentences[1]  # those of the middle arm do not move


def test_the_noise_to_plan_with_is_that_of_the_arm_in_the_middle_as_the_plan_takes_it(tmp_path):
    # differences from the baseline: of arm 2 -0.01, 0, 0.01; of arm 6 twice that; arm 8 diverges
    slope = {"fusion.layers=2": 0.01, "fusion.layers=6": 0.02, "fusion.layers=8": 0.2}
    path = write(tmp_path / "s", lambda a, s: 0.6 + 0.001 * s**2 + slope.get(a, 0.0) * (s - 1))
    frame = analysis.load(path).replicates()
    paired, residual = (frame[frame["kind"] == kind].iloc[0] for kind in ("paired", "residual"))
    # the median of a chi-squared variable of 2 degrees is 2 ln 2
    assert paired["sd"] == pytest.approx(0.02 / math.sqrt(math.log(2)))
    complete = RunLog(path).trials()
    planned = estimate_noise(complete[["arm", "seed"]].assign(value=complete["test/mask_iou"]))
    assert paired["sd"] == pytest.approx(planned.paired_sd)
    # t(0.975, 2) = 4.302653
    assert paired["half_width"] == pytest.approx(4.302653 * paired["sd"] / math.sqrt(3), rel=1e-6)
    assert residual["sd"] > 3 * paired["sd"]
    sentences = describe_replicates(frame)
    how = "(by the median of the variances of 3 arms, brought to where such a median is expected)"
    assert f"moves from seed to seed by sd 0.0240 {how}" in sentences[1]
    assert sentences[2].startswith("Pooled over all arms, mask IoU of a trial has sd 0.0")


def test_a_diverging_arm_is_named(tmp_path):
    def diverge(trial, row):
        slope = 0.2 if trial.arm.name == "fusion.layers=8" else 0.0
        return row | {"test/mask_iou": 0.6 + slope * (trial.seed - 1)}

    root = StudyWriter(tmp_path / "s", change_row=diverge, space=space(FACTORS), claim=CLAIM_OF_3, n_seeds=3).write()
    frame = analysis.load(root).replicates()
    arms = frame[frame["kind"] == "over seeds"].set_index("name")
    # Of A arms the blocks take 1 / A of what one of them moves, so of its variance (A - 1)^2 / A^2, and A / (A - 1) of that.
    own = 0.2 * math.sqrt((len(arms) - 1) / len(arms))
    assert arms.loc["fusion.layers=8", "residual_sd"] == pytest.approx(own)
    text = f"so they swell the pooled noise and it does not speak for them: fusion.layers=8 ({own:.4f})."
    assert describe_replicates(frame)[-1].endswith(text)


def test_published_numbers_share_no_blocks(tmp_path):
    root = write(tmp_path / "s", lambda a, s: 0.6 + 0.01 * s)
    log = RunLog(root)
    for key in log.statuses():
        log.write_trial(log.read_trial(key) | {"provenance": "imported", "data/test_hash": None})
    frame = analysis.load(root).replicates()
    assert set(frame["kind"]) == {"over seeds"}
    assert frame["residual_sd"].isna().all()
    assert frame.set_index("name").loc["baseline", "sd"] == pytest.approx(0.01)


def test_the_same_key_in_a_study_beside_it_is_a_repeat(tmp_path):
    write(tmp_path / "runs" / "other", lambda a, s: 0.6 + (0.03 if (a, s) == ("baseline", 1) else 0), train_s=0.5)
    study = analysis.load(write(tmp_path / "runs" / "mine", lambda a, s: 0.6))
    same = study.replicates().query("kind == 'same seed'").set_index("name")
    assert same.loc["fusion.layers=2 = fusion.layers=2 in other", "largest"] == 0
    differing = same.loc["baseline = baseline in other"]
    assert differing["largest"] == pytest.approx(0.03)
    assert (differing["n_trials"], differing["n_seeds"], differing["df"]) == (6, 3, 3)
    assert differing["sd"] == pytest.approx(math.sqrt(2 * 0.015**2 / 3))
    sentences = describe_replicates(study.replicates())
    assert sentences[0].startswith("Run more than once at one seed, with exactly the same mask IoU (18 trials)")
    assert "differs by up to 0.0300" in sentences[1]
    assert "more than the margin of 0.02" in sentences[1]


def test_a_copied_folder_is_no_repeat(tmp_path):
    write(tmp_path / "runs" / "copy", lambda a, s: 0.6)
    study = analysis.load(write(tmp_path / "runs" / "mine", lambda a, s: 0.6))
    assert "same seed" not in set(study.replicates()["kind"])


def test_other_images_are_no_repeat(tmp_path):
    other = write(tmp_path / "runs" / "other", lambda a, s: 0.7, train_s=0.5)
    log = RunLog(other)
    for key in log.statuses():
        log.write_trial(log.read_trial(key) | {"data/test_hash": "0000"})
    study = analysis.load(write(tmp_path / "runs" / "mine", lambda a, s: 0.6))
    assert "same seed" not in set(study.replicates()["kind"])


def test_one_configuration_under_two_names_is_a_repeat(tmp_path):
    """The mistake of a study that trained its baseline again as a level of a factor."""
    root = write(tmp_path / "runs" / "mine", lambda a, s: {"baseline": 0.60, "fusion.layers=2": 0.66}.get(a, 0.5))
    log = RunLog(root)
    for key in log.statuses():
        row = log.read_trial(key)
        if row["arm"] == "fusion.layers=2":
            log.write_trial(row | {"config/fusion.layers": 4})
    planned = log.read_manifest()
    planned.loc[planned["arm"] == "fusion.layers=2", "config/fusion.layers"] = 4
    planned.to_parquet(root / "manifest.parquet")
    same = analysis.load(root).replicates().query("kind == 'same seed'")
    assert same["name"].tolist() == ["baseline = fusion.layers=2"]
    assert same["largest"].iloc[0] == pytest.approx(0.06)
    assert same["sd"].iloc[0] == pytest.approx(0.06 / math.sqrt(2))


def test_imported_trials_do_not_say_enough_to_be_repeats(tmp_path):
    root = write(tmp_path / "runs" / "mine", lambda a, s: 0.6)
    log = RunLog(root)
    for key in log.statuses():
        row = {name: value for name, value in log.read_trial(key).items() if not name.startswith("config/")}
        log.write_trial(row | {"provenance": "imported"})
    assert "same seed" not in set(analysis.load(root).replicates()["kind"])


def test_one_seed_has_no_noise_to_report(tmp_path):
    frame = analysis.load(write(tmp_path / "s", lambda a, s: 0.6, n_seeds=1)).replicates()
    assert set(frame["kind"]) == {"over seeds"}
    assert frame["sd"].isna().all()
    assert "no residual noise to plan with" in describe_replicates(frame)[1]
