"""Importance of factors: optuna's two measures on a factorial, ranges where one factor is varied at a time."""

import dataclasses
import logging

import numpy as np
import pandas as pd
import pytest
from study_writer import CLAIM, FACTORS, StudyWriter, space

import analysis
from analysis.importance import (
    LEAST_ARMS,
    compute_importances,
    compute_repeatable,
    describe_importance,
)
from foresight.space import Factor

LAYERS, QUERIES = FACTORS[1:3]
STRATEGY = Factor("fusion strategy", "fusion.strategy", ("cross_attention", "concat"))


def factorial(folder, value, factors=(STRATEGY, LAYERS, QUERIES), n_seeds=3):
    def change(trial, row):
        found = value(trial.config.fusion, trial.seed)
        return None if found is None else row | {"test/mask_iou": found}

    fields = {"space": space(factors, "factorial"), "claim": dataclasses.replace(CLAIM, seeds=3), "n_seeds": n_seeds}
    return analysis.load(StudyWriter(folder / "study", change_row=change, with_latency=False, **fields).write())


@pytest.fixture(scope="module")
def layers_matter(tmp_path_factory):
    rng = np.random.default_rng(0)
    return factorial(tmp_path_factory.mktemp("factorial"), lambda f, s: 0.4 + 0.02 * f.layers + rng.normal(0, 0.002))


def test_the_factor_that_acts_has_all_the_importance(layers_matter):
    frame = layers_matter.importance()
    assert frame["method"].value_counts().to_dict() == {"fanova": 3, "ped_anova": 3}
    for method, mine in frame.groupby("method"):
        assert mine["importance"].sum() == pytest.approx(1)
        top = mine.set_index("factor").loc["fusion layers"]
        # the best arms are 5 of the 6 arms with 8 layers, and chance says which: PED-ANOVA sees that as importance
        assert top["importance"] > (0.95 if method == "fanova" else 0.5)
        assert top["importance"] == mine["importance"].max()
        assert top["low"] <= top["importance"] <= top["high"] <= 1
        assert (top["n_arms"], top["n_seeds"], top["n_levels"]) == (24, 3, 4)
    assert frame["repeatable"].iloc[0] > 0.99


def test_what_is_lower_better_is_turned_for_the_best_arms():
    arms = pd.DataFrame({"a": [0, 1] * 20, "b": [0, 0, 1, 1] * 10})
    # the lowest values are at a = 1, whatever b; the highest only at a = 0 with b = 1
    arms["value"] = np.where(arms["a"] == 1, 0.0, 0.5 + 0.5 * arms["b"])
    lower, higher = (compute_importances(arms, up, "ped_anova") for up in (False, True))
    assert lower == pytest.approx({"a": 1, "b": 0}, abs=0.01)
    assert higher == pytest.approx({"a": 0.5, "b": 0.5}, abs=0.01)
    assert compute_importances(arms, True, "fanova") == compute_importances(arms, False, "fanova")


def test_optuna_is_silenced_at_its_own_logger_only(layers_matter, caplog):
    root = logging.getLogger().level
    layers_matter.importance()
    assert logging.getLogger("optuna").level == logging.WARNING
    assert logging.getLogger().level == root


def test_noise_alone_is_said_to_be_noise(tmp_path):
    rng = np.random.default_rng(2)
    frame = factorial(tmp_path, lambda f, s: 0.5 + rng.normal(0, 0.01)).importance()
    assert frame.groupby("method")["importance"].sum().tolist() == pytest.approx([1, 1])  # as ever
    assert frame["repeatable"].iloc[0] < 0.5
    assert "of the variance between arms repeats over seeds (24 arms, 3 seeds)" in describe_importance(frame)[-1]


def test_one_seed_has_neither_interval_nor_a_measure_of_noise(tmp_path):
    frame = factorial(tmp_path, lambda f, s: 0.4 + 0.01 * f.layers, n_seeds=1).importance()
    assert frame["importance"].notna().all()
    assert frame[["low", "high", "repeatable"]].isna().all(axis=None)
    assert describe_importance(frame)[-1].startswith("With one seed nothing says how much of this is noise")


def test_a_part_of_a_factorial_that_confounds_its_factors_has_no_importances(tmp_path):
    # 4 layers only with 64 queries: what layers do cannot be told from what queries do beside them
    study = factorial(tmp_path, lambda f, s: 0.5 if f.layers == 2 or f.queries == 64 else None, FACTORS[:3])
    frame = study.importance()
    assert frame["importance"].isna().all()
    assert "fusion layers" in frame["aliased"].iloc[0]
    (sentence,) = describe_importance(frame)
    assert sentence.startswith("No importances: the 24 arms measured cannot tell the main effect of")


def test_few_arms_are_left_to_the_factorial(tmp_path):
    study = factorial(tmp_path, lambda f, s: 0.4 + 0.01 * f.layers, (LAYERS, QUERIES))
    frame = study.importance()
    assert frame["importance"].isna().all()
    assert describe_importance(frame)[0].startswith(f"Importances need {LEAST_ARMS} arms at least, and 12 are complete")


def test_a_block_that_has_only_begun_does_not_count(tmp_path):
    rng = np.random.default_rng(4)
    study = factorial(
        tmp_path,
        lambda f, s: None if s == 2 and f.strategy != "concat" else 0.4 + 0.01 * f.layers + rng.normal(0, 0.001),
    )
    assert study.importance()["seeds"].unique().tolist() == ["0 1"]


def test_one_at_a_time_has_ranges_and_says_why(tmp_path):
    value = {"baseline": 0.60, "fusion.strategy=concat": 0.40, "fusion.strategy=film": 0.62}

    def change(trial, row):
        found = value.get(trial.arm.name, 0.60)
        return row | {
            "test/mask_iou": found + 0.01 * trial.seed + 0.002 * (trial.seed - 1) * (trial.arm.name != "baseline")
        }

    claim = dataclasses.replace(CLAIM, seeds=3)
    study = analysis.load(StudyWriter(tmp_path / "s", change_row=change, claim=claim, n_seeds=3).write())
    frame = study.importance()
    row = frame.set_index("factor").loc["fusion strategy"]
    assert (row["method"], row["n_levels"], row["n_seeds"]) == ("range", 4, 3)
    assert row["importance"] == pytest.approx(0.22)  # from 0.40 to 0.62 at every seed
    assert (row["lowest"], row["highest"]) == ("concat", "film")
    assert (row["low"], row["high"]) == (pytest.approx(0.22), pytest.approx(0.22))
    sentences = describe_importance(frame)
    assert "fANOVA and PED-ANOVA cannot see an interaction here" in sentences[0]
    assert sentences[1].startswith("Fusion strategy moves mask IoU most, by 0.220 [0.220, 0.220] from concat to film")
    assert "fusion layers (" in sentences[2]


def two_levels(folder, values, claim=CLAIM, n_seeds=5):
    """A study of layers alone: `values` of the baseline, 4 layers, and of 2 layers by seed."""
    arms = dict(zip(("baseline", "fusion.layers=2"), values, strict=True))

    def change(trial, row):
        return row | {"test/mask_iou": arms[trial.arm.name][trial.seed]}

    few = space((Factor("layers", "fusion.layers", (2, 4)),))
    return analysis.load(StudyWriter(folder / "s", space=few, change_row=change, claim=claim, n_seeds=n_seeds).write())


BASE = np.array([0.50, 0.51, 0.49, 0.52, 0.50])


def test_a_factor_of_two_levels_is_called_what_the_verdict_on_its_arm_says(tmp_path):
    study = two_levels(tmp_path, (BASE, BASE - [0.2, 0.201, 0.199, 0.2, 0.202]))
    verdict = study.verdicts().query("kind == 'arm'").iloc[0]
    row = study.importance().iloc[0]
    assert (verdict["verdict"], row["state"], row["p_holm"]) == ("worse", "shown", verdict["p_holm"])
    sentences = describe_importance(study.importance())
    assert sentences[1].startswith("Layers moves mask IoU by 0.200 [")
    assert "noise" not in " ".join(sentences[1:])


def test_a_range_that_no_verdict_stands_behind_may_be_noise(tmp_path):
    # a range of 0.02 at p 0.106; then the same seed by seed, which five seeds show at 1/16
    for steps in ((0.05, -0.005, 0.03, 0.005, 0.02), (0.25,) * 5):
        study = two_levels(tmp_path / str(steps[0]), (BASE, BASE + steps))
        sentences = describe_importance(study.importance())
        assert study.importance()["state"].tolist() == ["not shown"]
        assert sentences[1].startswith("The range of mask IoU is that of layers, ")
        assert sentences[2].startswith(
            "No level of these is shown to differ from the baseline; levels on its two sides are not tested against each other: l"
        )


def test_one_seed_says_nothing_of_noise_and_calls_no_factor_the_most(tmp_path):
    study = two_levels(tmp_path, (BASE, BASE - 0.2), n_seeds=1)
    sentences = describe_importance(study.importance())
    assert study.importance()["state"].tolist() == ["no verdict (1 of 5 seeds)"]
    assert sentences[1:] == [
        "With one seed nothing says how much of a range is noise, and none is called the widest: layers (0.200)."
    ]


def test_ranges_before_all_seeds_or_of_an_exploration_are_without_a_verdict(tmp_path):
    exploration = dataclasses.replace(CLAIM, criteria=(), exploratory=True)
    for claim, n_seeds in ((CLAIM, 4), (exploration, 5)):
        study = two_levels(tmp_path / str(n_seeds), (BASE, BASE - [0.2, 0.201, 0.199, 0.2, 0.202]), claim, n_seeds)
        sentences = describe_importance(study.importance())
        assert sentences[1].startswith("The range of mask IoU is that of layers, 0.200 [")
        assert sentences[2:] == ["No verdict says whether these ranges are more than noise: layers (0.200)."]


def test_repeatable_by_hand():
    # arm means 1.5 and 3.5, variance 2; residuals 0.5 with df 1 make a variance of 1, of a mean of two seeds half of that
    rows = [("a", 0, 2.0), ("a", 1, 1.0), ("b", 0, 3.0), ("b", 1, 4.0)]
    assert compute_repeatable(pd.DataFrame(rows, columns=["arm", "seed", "value"])) == pytest.approx(1 - 1 / (2 * 2))
