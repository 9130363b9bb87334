"""Capacity axes, the law of quality against measured size, and efficiency of every pair of sizes."""

import math

import numpy as np
import pytest
from study_writer import StudyWriter, space

import analysis
from analysis.capacity import find_capacity_axes
from analysis.efficiency import describe_efficiency
from analysis.scaling_law import (
    CURVE_COLUMNS,
    LAWS,
    SCALING_COLUMNS,
    choose_law,
    compute_aicc,
    describe_scaling,
    fit_law,
    fit_laws,
)
from foresight.compare import compute_estimate
from foresight.config import TrialConfig
from foresight.space import Factor, SearchSpace

BUDGETS = (50_000, 100_000, 200_000, 400_000)
SIZES = np.array([5e4, 1e5, 2e5, 5e5, 1e6])


def adapter_space(design="one_at_a_time", **more):
    size = Factor("size", "adapter.budget_params", BUDGETS)
    streams = Factor("streams", "streams", ("both", "vlm"))
    return SearchSpace(TrialConfig(bridge="adapter"), (size, streams) if more else (size,), design)


def sized(trial, row, quality=lambda n: 0.5 + 0.03 * math.log(n / 1e5)):
    """Each arm at 1 % above its budget; quality by size, noise by seed and arm."""
    budget = trial.config.adapter.budget_params
    noise = np.random.default_rng([trial.seed, budget]).normal(0, 0.002)
    kept = {name: value for name, value in row.items() if "lpips" not in name}
    return kept | {
        "test/mask_iou": quality(budget) + 0.01 * trial.seed + noise,
        "test/lpips": 0.3 - 0.02 * math.log(budget / 1e5) + 0.01 * trial.seed,
        "cost/params_trained": round(budget * 1.01),
        "cost/budget_params": budget,
        "train/converged": float(budget < max(BUDGETS)),
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("scaling") / "runs" / "c2"
    return analysis.load(StudyWriter(root, space=adapter_space(), change_row=sized).write())


def test_a_law_names_the_trials_of_all_sizes(study):
    rows = study.scaling()
    every = set(study.data.complete["key"])
    assert len(every) == 4 * 5
    assert all(set(keys.split()) == every for keys in rows["keys"])
    pairs = study.param_efficiency().query("basis == 'capacity'")
    assert all(len(keys.split()) == 2 * 5 for keys in pairs["keys"])


def test_the_axis_is_ordered_by_what_was_counted(study):
    (axis,) = find_capacity_axes(study.data)
    assert axis.arms == (
        "adapter.budget_params=50000",
        "baseline",
        "adapter.budget_params=200000",
        "adapter.budget_params=400000",
    )
    assert axis.params == (50_500, 101_000, 202_000, 404_000)


def test_sizes_that_do_not_differ_are_no_axis(write_study):
    def same(trial, row):
        return sized(trial, row) | {"cost/params_trained": 100_000 + trial.config.adapter.budget_params // 100}

    study = analysis.load(write_study(space=adapter_space(), change_row=same, n_seeds=2))
    assert find_capacity_axes(study.data) == ()
    assert study.scaling().empty
    assert study.param_efficiency().empty


def test_two_arms_of_one_size_are_no_pair_and_cost_the_axis_no_other(write_study):
    """Measured 100 k, 104 k, 300 k and 900 k: three sizes, and five of the six pairs."""
    counted = dict(zip(BUDGETS, (100_000, 104_000, 300_000, 900_000), strict=True))

    def change(trial, row):
        return sized(trial, row) | {"cost/params_trained": counted[trial.config.adapter.budget_params]}

    study = analysis.load(write_study(space=adapter_space(), change_row=change))
    (axis,) = find_capacity_axes(study.data)
    assert (axis.params, axis.n_sizes) == (tuple(counted.values()), 3)
    frame = study.param_efficiency()
    assert len(frame) == 5
    assert set(zip(frame["params_trained"], frame["reference_params"], strict=True)) == {
        (100_000, 300_000), (100_000, 900_000), (104_000, 300_000), (104_000, 900_000), (300_000, 900_000),
    }  # fmt: skip
    assert "Sizes within 5 % of each other count as one, and two arms of one size are no pair." in describe_efficiency(
        frame
    )
    scaling = study.scaling()
    assert scaling[["n_sizes", "n_arms"]].drop_duplicates().to_numpy().tolist() == [[3, 4]]
    assert "3 sizes of 4 arms from 100 k to 900 k trained parameters" in describe_scaling(scaling)[0]
    assert scaling.set_index("law")["reason"]["power"] == "3 sizes lie on one exactly, so nothing tests it"


def test_more_axes_than_anybody_reads_are_left_out_and_that_is_said(write_study):
    weights = Factor("weight", "fusion.vlm_weight", (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8))
    factors = (Factor("layers", "fusion.layers", (2, 4)), weights, Factor("VLM layer", "vlm.layer", ("8", "final")))
    study = analysis.load(write_study(space=space(factors, "factorial"), n_seeds=1, with_latency=False))
    assert find_capacity_axes(study.data) == ()
    (text,) = [caution.text for caution in study.cautions() if caution.kind == "capacity"]
    assert text.startswith("Sizes can be compared along 14 axes") and "no pair of sizes has its efficiency here" in text


def test_a_factorial_has_an_axis_for_each_combination_of_the_other_factors(write_study):
    study = analysis.load(write_study(space=adapter_space("factorial", streams=True), change_row=sized, n_seeds=2))
    assert [(axis.where, len(axis.arms)) for axis in find_capacity_axes(study.data)] == [
        ("streams=both", 4),
        ("streams=vlm", 4),
    ]
    assert study.scaling().query("is_chosen")["where"].tolist() == ["streams=both", "streams=vlm"]
    assert len(study.param_efficiency()) == 2 * 6


def test_other_factors_have_no_axis(complete_study):
    axes = find_capacity_axes(complete_study.data)
    assert [axis.factor for axis in axes] == ["fusion layers"]


def test_aicc_by_hand():
    # n = 10, two coefficients and the noise: k = 3.
    assert compute_aicc(2.0, 10, 2) == pytest.approx(10 * math.log(0.2) + 6 + 24 / 6)
    assert compute_aicc(2.0, 4, 2) == math.inf


def simulated(quality, seed=0, n_seeds=5, noise=0.003):
    rng = np.random.default_rng(seed)
    values = quality(SIZES) + rng.normal(0, 0.01, (n_seeds, 1)) + rng.normal(0, noise, (n_seeds, len(SIZES)))
    fits = fit_laws(SIZES, values, SIZES, "test")
    return {fit.law: fit for fit in fits}, choose_law(fits)[0]


@pytest.mark.parametrize(
    ("law", "quality"),
    [
        ("constant", lambda n: 0.6 + 0 * n),
        ("log-linear", lambda n: 0.6 + 0.02 * np.log(n / 1e5)),
        ("power", lambda n: 0.7 - 0.15 * (n / 1e5) ** -1.0),
    ],
)
def test_the_law_that_made_the_numbers_is_chosen(law, quality):
    chosen = [simulated(quality, seed)[1] for seed in range(8)]
    assert chosen.count(law) >= 6


def test_a_power_law_is_recovered_and_its_exponent_lies_in_its_interval():
    fits, _ = simulated(lambda n: 0.7 - 0.15 * (n / 1e5) ** -1.0, noise=0.001)
    low, high = np.quantile(fits["power"].exponent_draws, [0.025, 0.975])
    assert low < 1.0 < high
    assert fits["power"].exponent == pytest.approx(1.0, abs=0.1)
    assert fits["power"].curve == pytest.approx(0.7 - 0.15 * (SIZES / 1e5) ** -1.0, abs=0.02)


def test_numbers_that_lie_on_a_line_give_that_line():
    values = np.tile(0.5 + 0.1 * np.log(SIZES / 1e5), (3, 1)) + np.array([[-0.01], [0.0], [0.01]])
    fit = {fit.law: fit for fit in fit_laws(SIZES, values, SIZES, "test")}["log-linear"]
    assert fit.curve == pytest.approx(0.5 + 0.1 * np.log(SIZES / 1e5))
    assert fit.draws[:, -1] - fit.draws[:, 0] == pytest.approx(0.1 * math.log(20))  # seeds differ in level alone


def test_three_sizes_cannot_tell_a_power_law():
    values = np.random.default_rng(0).normal(0.5, 0.1, (4, 3))
    fits = fit_laws(SIZES[:3], values, SIZES[:3], "test")
    assert fits[-1].unidentified == "3 sizes lie on one exactly, so nothing tests it"
    assert choose_law(fits)[0] != "power"


def test_the_interval_of_a_gain_covers_at_its_rate():
    """A line of slope 0: 95 % of the studies of three seeds should have 0 in the interval."""
    rng, n_studies, covered = np.random.default_rng(3), 200, 0
    for study in range(n_studies):
        values = rng.normal(0, 1, (3, 1)) + rng.normal(0, 1, (3, 5))
        fit = fit_law("log-linear", SIZES, values, SIZES[[0, -1]], f"study {study}")
        low, high = np.quantile(fit.draws[:, 1] - fit.draws[:, 0], [0.025, 0.975])
        covered += low <= 0 <= high
    assert 0.90 <= covered / n_studies <= 0.99


def test_the_frames_and_sentences_of_a_study(study):
    frame, curve = study.scaling(), study.scaling_curve()
    assert tuple(frame) == SCALING_COLUMNS
    assert tuple(curve) == CURVE_COLUMNS
    assert frame["law"].tolist() == list(LAWS)
    row = frame[frame["is_chosen"]].iloc[0]
    assert (row["law"], row["n_sizes"], row["n_seeds"], row["seeds"]) == ("log-linear", 4, 5, "0 1 2 3 4")
    assert row["gain"] == pytest.approx(0.03 * math.log(8), abs=0.004)
    assert row["low"] < row["gain"] < row["high"]
    assert (curve["params_trained"].iloc[0], curve["params_trained"].iloc[-1]) == (50_500, pytest.approx(404_000))
    assert ((curve["low"] < curve["quality"]) & (curve["quality"] < curve["high"])).all()
    (sentence,) = describe_scaling(frame)
    assert sentence.startswith(
        f"Along size, mask IoU = {row['formula']} (log-linear; 4 sizes from 50.5 k to 404 k trained"
    )


def test_quality_that_falls_with_size_is_doubted(write_study):
    def falling(trial, row):
        return sized(trial, row, lambda n: 0.6 - 0.03 * math.log(n / 1e5))

    study = analysis.load(write_study(space=adapter_space(), change_row=falling))
    assert describe_scaling(study.scaling())[-1] == "It gets worse with size, so the larger ones may be under-trained."


def test_one_seed_gives_no_law(write_study):
    assert analysis.load(write_study(space=adapter_space(), change_row=sized, n_seeds=1)).scaling().empty


def test_every_pair_of_sizes_has_its_efficiency_paired_by_seed(study):
    frame = study.param_efficiency()
    assert len(frame) == 6
    assert set(frame["basis"]) == {"capacity"}
    assert (frame["params_trained"] < frame["reference_params"]).all()
    row = frame.query("arm == 'baseline' and reference == 'adapter.budget_params=200000'").iloc[0]
    large = [0.3 - 0.02 * math.log(2) + 0.01 * seed for seed in range(5)]
    found = compute_estimate([2 - (0.3 + 0.01 * seed) / large[seed] for seed in range(5)])
    assert row[["efficiency", "low", "high"]].tolist() == pytest.approx([found.mean, found.low, found.high])
    assert row["warnings"] == ""
    doubted = frame[frame["reference"] == "adapter.budget_params=400000"]
    assert set(doubted["warnings"]) == {
        "The reference adapter.budget_params=400000 had not converged in 5 of 5 trials."
    }


def test_a_reference_without_any_record_of_its_convergence_is_doubted(write_study):
    def change(trial, row):
        return {name: value for name, value in sized(trial, row).items() if name != "train/converged"}

    frame = analysis.load(write_study(space=adapter_space(), change_row=change, n_seeds=2)).param_efficiency()
    assert frame["warnings"].str.startswith("No trial of the reference ").all()


def test_fusion_depth_is_a_capacity_axis_of_its_own(write_study):
    layers = space((Factor("fusion layers", "fusion.layers", (2, 4, 6)),))
    study = analysis.load(write_study(space=layers, n_seeds=3))
    assert study.scaling()["factor"].unique().tolist() == ["fusion layers"]
    assert len(study.param_efficiency()) == 3
