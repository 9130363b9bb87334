"""Which cheaper arm is shown to be non-inferior to the best, by hand and in simulation."""

import numpy as np
import pandas as pd
import pytest
from study_writer import CLAIM, StudyWriter, space

import analysis
from analysis.rivals import compare_with, judged_values
from analysis.simplify import SIMPLIFY_COLUMNS, describe_simplification
from foresight.compare import compute_estimate
from foresight.space import Factor

SPACE = space((Factor("queries", "fusion.queries", (16, 32, 64, 128)),))
ARMS = {"fusion.queries=16": "poor", "fusion.queries=32": "as good", "baseline": "best", "fusion.queries=128": "noisy"}
PARAMS = {"poor": 1_000, "as good": 5_200, "best": 10_000, "noisy": 9_800}
TRAIN_S = {"poor": 2.0, "as good": 12.0, "best": 10.0, "noisy": 4.0}
# What is left of each seed beside the block.
MEANS = {"poor": 0.50, "as good": 0.699, "best": 0.70, "noisy": 0.66}
OWN = {
    "poor": (0.001, -0.001, 0.0, 0.001, -0.001),
    "as good": (0.001, 0.0, -0.001, 0.0005, -0.0005),
    "best": (0.0,) * 5,
    "noisy": (0.02, -0.02, 0.015, -0.015, 0.0),
}


def numbers(trial, row):
    name, seed = ARMS[trial.arm.name], trial.seed
    return row | {
        "test/mask_iou": MEANS[name] + 0.01 * seed + OWN[name][seed],
        "cost/params_trained": PARAMS[name],
        "cost/params_total": PARAMS[name] + 90_000,
        "cost/train_s": TRAIN_S[name] * (1 + 0.1 * seed),
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("simplify") / "runs" / "p2"
    return analysis.load(StudyWriter(root, space=SPACE, change_row=numbers, with_latency=False).write())


def test_the_cheapest_that_is_as_good_and_what_it_saves(study):
    frame = study.simplification()
    assert tuple(frame) == SIMPLIFY_COLUMNS
    rows = frame.assign(name=frame["arm"].map(ARMS)).set_index("name")
    assert rows["state"].to_dict() == {
        "best": "best mean", "as good": "non-inferior", "noisy": "not shown", "poor": "not shown",
    }  # fmt: skip
    assert rows["cheapest_in"].to_dict() == {"best": "", "as good": "params_trained", "noisy": "", "poor": ""}
    good = rows.loc["as good"]
    assert good["saved_params_trained"] == pytest.approx(0.48)
    assert good["saved_train_s"] == pytest.approx(-0.2)
    assert good["difference"] == pytest.approx(-0.001)
    assert np.isnan(good["saved_params_trained_low"])  # the same at every seed
    assert (good["n_seeds"], good["seeds"], good["n_test"], good["margin"]) == (5, "0 1 2 3 4", 200, 0.02)
    assert rows.loc["best", "quality"] == pytest.approx(0.72)
    sentences = describe_simplification(frame)
    assert sentences[0] == "baseline has the best mean mask IoU, 0.720 (5 paired seeds, 4 arms)."
    assert sentences[1].startswith(
        "fusion.queries=32 saves 48 % of the trained parameters and is non-inferior to the best arm at a margin of 0.02 "
        "(adjusted p "
    )
    assert (
        "In training seconds none of the 2 cheaper arms is shown to be non-inferior to the best at a margin of 0.02."
        in (sentences)
    )
    # With 90,000 more for each, `as good` saves less than 5 %, which is no saving; `poor` is left.
    assert (
        "In parameters in all the one cheaper arm is not shown to be non-inferior to the best at a margin of 0.02."
        in (sentences)
    )


def test_the_p_value_is_the_largest_over_all_rivals(study):
    values = judged_values(study.data)
    rows = study.simplification().set_index("arm")
    arm = "fusion.queries=32"
    others = [name for name in ARMS if name != arm]
    p_of = {rival: compare_with(study.data, values, rival, 4).loc[arm, "p_noninferior"] for rival in others}
    assert rows.loc[arm, "p"] == max(p_of.values())
    assert rows.loc[arm, "rival"] == max(p_of, key=p_of.get) == "fusion.queries=128"  # worse in its mean, but noisy
    assert rows.loc[arm, "p"] > p_of["baseline"]


def test_a_saving_that_differs_between_seeds_has_an_interval(write_study):
    def change(trial, row):
        row = numbers(trial, row)
        return row | {"cost/train_s": 10.0} if ARMS[trial.arm.name] == "best" else row

    frame = analysis.load(write_study(space=SPACE, change_row=change)).simplification().set_index("arm")
    expected = compute_estimate([1 - 0.4 * (1 + 0.1 * seed) for seed in range(5)])
    found = frame.loc["fusion.queries=128", ["saved_train_s", "saved_train_s_low", "saved_train_s_high"]]
    assert found.tolist() == pytest.approx([expected.mean, expected.low, expected.high])


def test_nothing_to_simplify_without_seeds_or_with_one_arm(write_study):
    assert analysis.load(write_study("few", space=SPACE, change_row=numbers, n_seeds=4)).simplification().empty

    def one(trial, row):
        return numbers(trial, row) if trial.arm.name == "baseline" else None

    assert analysis.load(write_study("one", space=SPACE, change_row=one)).simplification().empty
    assert describe_simplification(pd.DataFrame(columns=list(SIMPLIFY_COLUMNS))) == []


def test_an_arm_that_loses_more_than_the_margin_is_rarely_called_non_inferior(study):
    """Three equal arms and one that is worse by exactly the margin: the best is chosen by the numbers and by luck."""
    rng, wrong, n_studies = np.random.default_rng(11), 0, 50
    arms = ["arm0", "arm1", "arm2", "worse"]
    for _ in range(n_studies):
        noise = rng.normal(0, 0.01, (5, 1)) + rng.normal(0, 0.004, (5, 4))
        quality = 0.7 + noise - CLAIM.margin * (np.arange(4) == 3)
        values = pd.DataFrame(
            {"arm": np.tile(arms, 5), "factor": "x", "seed": np.repeat(range(5), 4), "value": quality.ravel()}
        )
        p = [compare_with(study.data, values, rival, 1).loc["worse", "p_noninferior"] for rival in arms[:3]]
        wrong += max(p) < CLAIM.alpha
    assert wrong / n_studies <= CLAIM.alpha + 2.6 * np.sqrt(CLAIM.alpha * (1 - CLAIM.alpha) / n_studies)


def test_a_latency_that_its_repeats_do_not_tell_apart_saves_nothing(write_study):
    path = write_study(space=SPACE, change_row=numbers)
    log = analysis.load(path).data.log
    for row in log.read_latency().to_dict("records"):
        # The best takes 10 [9, 11] ms; `as good` 8 ms, of which the quartiles decide.
        for name, spread in (("fusion.queries=32", 2.0), ("baseline", 1.0)):
            if row["arm"] == name:
                median = 8.0 if spread == 2.0 else 10.0
                row |= {"latency_ms": median, "latency_q25_ms": median - spread, "latency_q75_ms": median + spread}
        log.write_latency(row.pop("arm_key"), row)
    row = analysis.load(path).simplification().set_index("arm").loc["fusion.queries=32"]
    found = row[["saved_latency_ms", "saved_latency_ms_low", "saved_latency_ms_high"]].tolist()
    assert found == pytest.approx([0.2, 1 - 10 / 9, 1 - 6 / 11])
    assert row["cheapest_in"] == "params_trained"
    for row in log.read_latency().to_dict("records"):
        if row["arm"] == "fusion.queries=32":
            log.write_latency(row.pop("arm_key"), row | {"latency_q25_ms": 7.5, "latency_q75_ms": 8.5})
    row = analysis.load(path).simplification().set_index("arm").loc["fusion.queries=32"]
    assert row["cheapest_in"] == "params_trained latency_ms"
