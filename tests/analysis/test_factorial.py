"""Main effects and interactions: hand-computed, against statsmodels, and what a part of a factorial cannot tell."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.anova import AnovaRM
from study_writer import CLAIM, StudyWriter, space

import analysis
from analysis.factorial import describe_factorial_effects, describe_factorial_terms
from analysis.factorial_design import find_aliases, read_design
from analysis.factorial_fit import compute_f_test
from analysis.figure_interactions import plot_interactions, strongest_interactions
from foresight.declared import FactorInfo
from foresight.space import Factor

LAYERS, QUERIES = Factor("layers", "fusion.layers", (2, 4)), Factor("queries", "fusion.queries", (32, 64))
STRATEGY = Factor("strategy", "fusion.strategy", ("cross_attention", "concat", "film"))
SMALL = (LAYERS, QUERIES)


def write(folder, factors, value, n_seeds=3, planned_seeds=3):
    """A factorial whose mask IoU is `value(config.fusion, seed)`; None drops the trial."""

    def change(trial, row):
        found = value(trial.config.fusion, trial.seed)
        return None if found is None else row | {"test/mask_iou": found}

    claim = dataclasses.replace(CLAIM, seeds=planned_seeds)
    fields = {"space": space(factors, "factorial"), "claim": claim, "n_seeds": n_seeds, "with_latency": False}
    return analysis.load(StudyWriter(folder / "study", change_row=change, **fields).write())


def test_two_by_two_by_hand(tmp_path):
    # layers 2 to 4 adds 0.10, queries 32 to 64 adds 0.04, both together 0.02 more; each seed shifts everything
    study = write(
        tmp_path, SMALL, lambda f, s: 0.3 + 0.1 * (f.layers == 4) + 0.04 * (f.queries == 64)
        + 0.02 * (f.layers == 4 and f.queries == 64) + 0.05 * s + 0.004 * (s - 1) * (f.layers == 4),
    )  # fmt: skip
    effects = study.factorial_effects()
    main = effects[effects["kind"] == "main"].set_index("factor_a")
    # the reference is the baseline's level, 4 and 64: minus 0.10, minus half of 0.02
    assert main.loc["layers", ["level_a", "reference"]].tolist() == ["2", "4"]
    assert main.loc["layers", "effect"] == pytest.approx(-0.11)
    assert main.loc["queries", "effect"] == pytest.approx(-0.05)
    # over seeds the effect of layers is -0.106, -0.110, -0.114: t(0.975, 2) = 4.302653, standard error 0.004 / sqrt(3)
    assert main.loc["layers", "high"] == pytest.approx(-0.11 + 4.302653 * 0.004 / math.sqrt(3))
    pairs = effects[effects["kind"] == "interaction"].set_index(["level_a", "level_b"])["effect"]
    assert pairs.to_dict() == pytest.approx(
        {("2", "32"): 0.005, ("2", "64"): -0.005, ("4", "32"): -0.005, ("4", "64"): 0.005}
    )
    terms = study.factorial_terms().set_index("term")
    # sums of squares over four arms: 0.11^2, 0.05^2 and 4 * 0.005^2 = 0.01^2
    total = 0.11**2 + 0.05**2 + 0.01**2
    assert terms["variance_share"].tolist() == pytest.approx([0.11**2 / total, 0.05**2 / total, 0.01**2 / total])
    # F of layers: the squared t of -0.106, -0.110, -0.114
    assert terms.loc["layers", "f"] == pytest.approx((0.11 / (0.004 / math.sqrt(3))) ** 2)
    # the same in every seed, to rounding: a sign test of three
    assert (terms.loc["layers × queries", "f"], terms.loc["layers × queries", "p"]) == (math.inf, 0.25)


def test_effects_that_are_the_same_at_every_seed_are_a_sign_test_as_the_arms_are(tmp_path):
    """A metric that moves in steps: without noise to be seen, three seeds show nothing."""
    study = write(tmp_path, SMALL, lambda f, s: 0.5 + 0.25 * (f.layers == 4))
    terms = study.factorial_terms().set_index("term")
    assert terms["p"].to_dict() == {"layers": 0.25, "queries": 1.0, "layers × queries": 1.0}
    assert terms.loc["layers", "p_holm"] == 0.5
    assert describe_factorial_terms(study.factorial_terms())[0].startswith("None of 2 main effects on mask IoU shown")
    arms = study.verdicts().query("kind == 'arm'")
    assert not arms["verdict"].isin(["better", "worse"]).any()


@pytest.mark.parametrize("n_blocks", [2, 3, 7])
def test_several_coefficients_without_noise_have_the_p_of_one(n_blocks):
    constant = np.tile([0.1, -0.2, 0.05], (n_blocks, 1))
    assert compute_f_test(constant, np.diag([1.0, 2.0, 3.0]), 1.0).p == 2.0 ** (1 - n_blocks)
    assert compute_f_test(0 * constant, np.eye(3), 1.0).p == 1


def test_f_is_that_of_repeated_measures_in_statsmodels(tmp_path):
    noise = np.random.default_rng(3).normal(0, 0.01, (4, 3, 2, 2))
    place = {name: i for i, name in enumerate(STRATEGY.levels)}

    def value(f, seed):
        return 0.5 + 0.02 * place[f.strategy] + noise[seed, place[f.strategy], f.layers // 4, f.queries // 64]

    study = write(tmp_path, (STRATEGY, *SMALL), value, n_seeds=4, planned_seeds=4)
    complete = study.data.complete
    frame = pd.DataFrame({name: complete[f"config/fusion.{name}"] for name in ("strategy", "layers", "queries")})
    frame = frame.assign(value=complete["test/mask_iou"], seed=complete["seed"])
    expected = AnovaRM(frame, "value", "seed", ["strategy", "layers", "queries"]).fit().anova_table["F Value"]
    terms = study.factorial_terms().set_index("term")["f"]
    assert len(terms) == 6
    for term, f in terms.items():
        assert f == pytest.approx(expected[str(term).replace(" × ", ":")]), term


def test_epsilon_is_one_for_equal_noise_and_falls_where_one_direction_carries_it():
    coefficients = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert compute_f_test(coefficients + 1, np.eye(2), 1.0).epsilon == pytest.approx(1.0)
    assert compute_f_test(coefficients * [1, 1e-9] + 1, np.eye(2), 1.0).epsilon == pytest.approx(0.5)
    # with one coefficient F is the squared t, and p that of the paired t-test: t = 3 / sqrt(0.5), 4 degrees of freedom
    one = compute_f_test(np.array([[1.0], [2.0], [3.0], [4.0], [5.0]]), np.eye(1), 1.0)
    assert (one.f, one.p) == (pytest.approx(18), pytest.approx(0.0132353, abs=1e-6))


def test_three_of_four_cells_cannot_tell_main_effects_from_the_interaction(tmp_path):
    study = write(tmp_path, SMALL, lambda f, s: None if (f.layers, f.queries) == (2, 32) else 0.5 + 0.01 * s)
    terms = study.factorial_terms()
    assert (terms["status"] == "aliased").all()
    assert terms[["variance_share", "low", "f", "p", "p_holm"]].isna().all(axis=None)
    assert set(terms.set_index("term").loc["layers", "aliased_with"].split("; ")) == {"queries", "layers × queries"}
    assert study.factorial_effects().empty
    (sentence,) = describe_factorial_terms(terms)
    assert sentence.startswith("Not estimable from the 3 arms measured, whatever their numbers: layers, queries")


def test_a_level_that_nobody_measured_is_named_and_a_held_factor_bounds_everything(tmp_path):
    study = write(
        tmp_path, (STRATEGY, *SMALL), lambda f, s: None if f.strategy != "concat" else 0.1 * s + 0.01 * f.layers
    )
    terms = study.factorial_terms()
    assert terms["term"].tolist() == ["layers", "queries", "layers × queries"]
    assert terms["held"].unique().tolist() == ["strategy=concat"]
    sentences = describe_factorial_terms(terms)
    assert sentences[0] == "Every complete trial has strategy=concat, so all that follows holds there and nowhere else."
    assert "strategy: cross_attention, film" in sentences[1]


def test_a_block_that_cannot_tell_an_effect_does_not_count_for_it(tmp_path):
    study = write(
        tmp_path, SMALL, lambda f, s: None if s == 2 and f.layers == 2 else 0.5 + 0.01 * f.layers * (1 + 0.1 * s)
    )
    terms = study.factorial_terms().set_index("term")
    assert terms["seeds"].tolist() == ["0 1", "0 1", "0 1"]
    assert terms["p"].notna().any()
    assert terms["p_holm"].isna().all()  # two of the three claimed seeds
    assert "No verdict on any interaction of mask IoU: 2 seeds of the 3 claimed" in describe_factorial_terms(
        study.factorial_terms()
    )[-1]  # fmt: skip


def test_one_seed_has_effects_without_intervals_tests_or_figure(tmp_path):
    study = write(tmp_path, SMALL, lambda f, s: 0.3 + 0.01 * f.layers, n_seeds=1)
    assert study.factorial_effects()[["low", "high"]].isna().all(axis=None)
    assert study.factorial_terms()[["p", "p_holm", "low", "high"]].isna().all(axis=None)
    assert strongest_interactions(study.factorial_terms()).empty


def test_holm_counts_the_interactions_that_were_declared(tmp_path):
    rng = np.random.default_rng(5)
    study = write(
        tmp_path,
        (STRATEGY, *SMALL),
        lambda f, s: None if f.strategy != "concat" else 0.5 + rng.normal(0, 0.02),
        n_seeds=3,
    )
    row = study.factorial_terms().set_index("term").loc["layers × queries"]
    assert row["p_holm"] == pytest.approx(min(1.0, 3 * row["p"]))  # of three pairs of factors, one can be estimated


def test_factors_that_always_change_together_cannot_be_told_apart():
    rows = pd.DataFrame({"config/a": [0, 0, 1, 1], "config/b": [0, 0, 1, 1], "config/c": [0, 1, 0, 1]})
    factors = tuple(FactorInfo(name, name, (0, 1), {}, 0) for name in "abc")
    design = read_design(factors, rows)
    aliases = find_aliases(design.terms, design.matrix(rows))
    assert aliases["a"] == ("b",)
    assert aliases["c"] == ()
    assert aliases["a × b"] == ("the mean",)  # their product never changes
    assert aliases["a × c"] == ("b × c",)


def test_another_design_has_none_of_it(complete_study):
    assert complete_study.factorial_terms().empty
    assert complete_study.factorial_effects().empty
    assert describe_factorial_terms(complete_study.factorial_terms()) == []


def test_figure_and_sentences_of_interactions(tmp_path):
    rng = np.random.default_rng(1)
    study = write(
        tmp_path, (STRATEGY, *SMALL),
        lambda f, s: 0.5 + 0.1 * (f.strategy == "film" and f.layers == 4) + rng.normal(0, 0.001),
    )  # fmt: skip
    figure = plot_interactions(study.data, study.factorial_terms(), study.factorial_effects())
    assert len(figure.axes) == 4  # three interactions and an empty place
    assert figure.axes[0].get_title().startswith("strategy × layers")
    numbers = [text.get_text() for text in figure.axes[0].texts]
    # film with 4 layers has 0.1 more: 0.1 * (1 - 1/3) * (1 - 1/2) beyond the main effects
    assert numbers[5] in ("+.033", "+.034")
    effects = describe_factorial_effects(study.factorial_effects())
    assert effects[1].startswith("strategy film with layers")
    assert "chosen after looking" in effects[0]
    assert "1 of 3 interactions on mask IoU shown" in describe_factorial_terms(study.factorial_terms())[1]
