"""Times of arms that do the same work: a busy minute of the machine is said, and is no saving and no place on a front."""

import math

import numpy as np
import pytest
from study_writer import FACTORS, space

import analysis
from analysis.objectives import read_objectives
from analysis.same_work import TimeNoise, compute_time_noise, does_same_work, group_same_work, widen_saving
from foresight.runlog import RunLog

SPACE = space((FACTORS[5], FACTORS[3], FACTORS[1]))  # VLM weight and layer, and layers of the fusion
BUSY, IDLE, SMALL = "fusion.vlm_weight=0.3", "fusion.vlm_weight=0.7", "fusion.layers=2"
LATENCY = {"baseline": 12.4, BUSY: 22.5, IDLE: 13.7}
BEST = {BUSY: 0.05}  # of mask IoU


def with_flops(trial, row, train_s=None):
    more = {
        "cost/flops": 1e6 * trial.config.fusion.layers,
        "test/mask_iou": row["test/mask_iou"] + BEST.get(trial.arm.name, 0),
    }
    return row | more | ({"cost/train_s": train_s[trial.arm.name] + trial.seed} if train_s else {})


def write(write_study, name="study", change_row=with_flops, latency=LATENCY):
    """The study with these latencies, and 10 ms for other arms; quartiles 0.1 ms around each."""
    path = write_study(name, space=SPACE, change_row=change_row)
    log = RunLog(path)
    for row in log.read_latency().to_dict("records"):
        ms = latency.get(row["arm"], 10.0)
        measured = {"latency_ms": ms, "latency_q25_ms": ms - 0.1, "latency_q75_ms": ms + 0.1}
        log.write_latency(row.pop("arm_key"), row | measured)
    return analysis.load(path)


@pytest.fixture
def study(write_study):
    return write(write_study)


def test_which_arms_do_the_same_work(study):
    latency, training = group_same_work(study.data, "latency_ms"), group_same_work(study.data, "train_s")
    assert does_same_work(latency, "baseline", BUSY) and does_same_work(latency, BUSY, IDLE)
    assert not does_same_work(latency, "baseline", "vlm.layer=8")  # fewer layers of the VLM run
    assert does_same_work(training, "baseline", "vlm.layer=8")  # but its features come from the cache
    assert not does_same_work(training, "baseline", SMALL)


def test_without_known_flops_no_arm_is_known_to_do_the_same(write_study):
    study = write(write_study, change_row=lambda trial, row: row)
    assert group_same_work(study.data, "latency_ms").empty
    noise = compute_time_noise(study.data, "latency_ms", study.data.latency["latency_ms"])
    assert (noise.df, noise.normal_sd) == (0, 0.0)
    assert "strayed_time" not in {caution.kind for caution in study.cautions()}


def test_the_noise_of_times_by_hand(study):
    noise = compute_time_noise(study.data, "latency_ms", study.data.latency["latency_ms"])
    logs = np.log(list(LATENCY.values()))
    assert (noise.sd, noise.df) == (pytest.approx(logs.std(ddof=1)), 2)
    assert noise.half_width == pytest.approx(4.302653 * math.sqrt(2) * noise.sd, rel=1e-6)  # t(0.975, 2)
    assert noise.normal_sd == pytest.approx(4.302653 / 1.959964 * noise.sd, rel=1e-6)


def test_a_busy_minute_is_no_saving(study):
    rows = study.simplification().set_index("arm")
    assert rows.loc[BUSY, "is_best"]
    base = rows.loc["baseline"]
    assert base["saved_latency_ms"] == pytest.approx(1 - 12.4 / 22.5)
    assert base["saved_latency_ms_low"] < 0 < base["saved_latency_ms_high"]
    assert "latency_ms" not in " ".join(rows["cheapest_in"])
    # Of the other graphs none is surely faster either: this time says that little.
    assert (rows.drop(BUSY)["saved_latency_ms_low"] < 0).all()


def test_a_saved_share_is_as_unsure_as_times_are_and_holds_0_between_arms_of_the_same_work():
    noise = TimeNoise(math.log(2) / math.sqrt(2) / 4.302653, 2)  # a ratio strays by a factor of two
    assert widen_saving(0.75, 0.7, 0.8, noise, False) == pytest.approx((0.5, 0.875), rel=1e-5)
    assert widen_saving(0.75, 0.4, 0.9, noise, False) == pytest.approx((0.4, 0.9))  # its own spread is wider
    assert widen_saving(0.75, math.nan, math.nan, noise, False) == pytest.approx((0.5, 0.875), rel=1e-5)
    assert widen_saving(0.75, 0.7, 0.8, noise, True) == pytest.approx((0.0, 0.875), rel=1e-5)
    assert widen_saving(0.75, 0.7, 0.8, TimeNoise(math.nan, 0), False) == (0.7, 0.8)


def test_a_saving_of_training_seconds_between_arms_of_the_same_work_is_none(write_study):
    """At every seed the baseline trains in less time: what a paired interval alone calls sure."""
    seconds = {"baseline": 20.0, BUSY: 25.0, IDLE: 24.9, "vlm.layer=8": 24.8, "vlm.layer=14": 24.7}
    slow = {f"fusion.layers={n}": 30.0 for n in (2, 6, 8)}
    study = write(write_study, change_row=lambda trial, row: with_flops(trial, row, seconds | slow))
    base = study.simplification().set_index("arm").loc["baseline"]
    assert base["saved_train_s"] > 0.05
    assert base["saved_train_s_low"] <= 0


def test_draws_of_the_front_have_the_noise_between_measurements(study):
    found = read_objectives(study.data, ("quality", "latency_ms"))
    at = found.judged.index(SMALL)
    noise = compute_time_noise(study.data, "latency_ms", study.data.latency["latency_ms"])
    assert found.spread[at].tolist() == pytest.approx([0.0, 10.0 * noise.normal_sd])
    states = study.pareto().set_index("arm")["state"]
    assert states["baseline"] != "dominated" and states[IDLE] != "dominated"


def test_arms_of_the_same_work_that_differ_beyond_their_spread_are_named(write_study, study):
    (text,) = [caution.text for caution in study.cautions() if caution.kind == "strayed_time"]
    assert "baseline 12.4 ms [12.3, 12.5] and fusion.vlm_weight=0.3 22.5 ms [22.4, 22.6] (of 3 arms)" in text
    assert "strays by 32 % from one measurement to the next (sd, df 2)" in text
    near = write(write_study, "near", latency={"baseline": 12.4, BUSY: 12.5, IDLE: 12.7})
    assert "strayed_time" not in {caution.kind for caution in near.cautions()}
