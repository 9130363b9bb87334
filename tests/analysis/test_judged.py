"""What no test is made of: an exploration's arms, and arms that nobody knows to be scored on the same images."""

from dataclasses import replace

import numpy as np
import pytest
from study_writer import CLAIM, StudyWriter, space

import analysis
from analysis.factorial import describe_factorial_terms
from analysis.import_csv import import_csv
from analysis.judged import EXPLORATION, UNKNOWN_IMAGES
from analysis.pareto import describe_fronts, describe_pareto
from analysis.recommend import describe_recommendation
from analysis.report import render_report, write_report
from analysis.simplify import describe_simplification
from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.space import Factor

EXPLORING = replace(CLAIM, criteria=(), exploratory=True)
QUERIES = Factor("queries", "fusion.queries", (16, 32, 64))
LAYERS = Factor("layers", "fusion.layers", (2, 4))
# Every seed says the same: 16 queries lose 0.2, 32 cost half and lose next to nothing.
LOST = {16: 0.2, 32: 0.001, 64: 0.0}
PARAMS = {16: 1_000, 32: 5_000, 64: 10_000}
# One row per arm and seed, as a paper would print them, and no word on the images.
PUBLISHED = "arm,seed,lpips,params\n" + "".join(
    f"{arm},{seed},{loss + seed / 1000 + offset:.4f},{params}\n"
    for arm, loss, params in (("baseline", 0.30, 10_000), ("small", 0.31, 1_000), ("mid", 0.40, 5_000))
    for seed, offset in enumerate((0.0004, -0.0003, 0.0001))
)


def numbers(trial, row):
    fusion = trial.config.fusion
    noise = np.random.default_rng([trial.seed, fusion.queries]).normal(0, 1e-4)
    quality = 0.7 - LOST[fusion.queries] + 0.05 * (fusion.layers == 2) + 0.01 * trial.seed + noise
    return row | {"test/mask_iou": quality, "cost/params_trained": PARAMS[fusion.queries]}


def write(folder, claim=EXPLORING, factors=(QUERIES,), design="one_at_a_time", **fields):
    """Numbers without noise to speak of, at all registered seeds."""
    return StudyWriter(folder / "s", space=space(factors, design), claim=claim, change_row=numbers, **fields).write()


@pytest.fixture
def published(tmp_path):
    (tmp_path / "numbers.csv").write_text(PUBLISHED)
    import_csv(tmp_path / "numbers.csv", RunLog(tmp_path / "runs" / "published"), reference="baseline")
    return analysis.load(tmp_path / "runs" / "published")


def test_an_exploration_has_a_front_of_its_means_and_no_state(tmp_path):
    tested, exploring = (analysis.load(write(tmp_path / str(claim.exploratory), claim)) for claim in (CLAIM, EXPLORING))
    assert "Surely dominated" not in (said := " ".join(describe_pareto(exploring.pareto()))) and "sure" not in said
    assert "An exploration, which gives no arm a state; it has numbers of: baseline" in said
    assert set(exploring.pareto()["state"]) == {EXPLORATION}
    assert exploring.pareto()["p_front"].tolist() == tested.pareto()["p_front"].tolist()
    assert "on the front" in set(tested.pareto()["state"])


def test_an_exploration_simplifies_and_recommends_by_numbers_that_it_says_are_untested(tmp_path):
    path = write(tmp_path / "x")
    exploring, tested = analysis.load(path, budget={"params_trained": 1e9}), analysis.load(write(tmp_path / "t", CLAIM))
    assert "non-inferior" in set(tested.simplification()["state"])
    frame = exploring.simplification()
    assert set(frame["state"]) == {EXPLORATION} and set(frame["cheapest_in"]) == {""}
    assert frame[["p", "p_holm", "low", "high"]].isna().all(axis=None)
    assert frame.set_index("arm").loc["fusion.queries=32", "saved_params_trained"] == pytest.approx(0.5)
    assert describe_simplification(frame)[1:] == [
        "An exploration: nothing is tested, so no arm is shown to be non-inferior to it, or worse."
    ]
    assert exploring.recommendation()["not_told_apart"].tolist() == ["fusion.queries=16, fusion.queries=32"]
    assert describe_recommendation(exploring.recommendation())[1] == (
        "An exploration: nothing is tested, so it is not told apart from any other arm."
    )


def test_an_exploration_has_differences_and_no_p_value(tmp_path):
    exploring = analysis.load(write(tmp_path / "x"))
    table = exploring.table().query("role == 'primary' and kind == 'arm'").set_index("arm")
    assert table["difference"].notna().any()
    assert table[["p", "p_holm", "p_noninferior", "p_noninferior_holm"]].isna().all(axis=None)
    page = render_report(exploring, [])
    assert "An exploration: nothing is tested, and no arm has a verdict." in page
    assert "adjusted by Holm" not in page


def test_an_exploration_shows_no_main_effect(tmp_path):
    found = {}
    for claim in (CLAIM, EXPLORING):
        folder = tmp_path / str(claim.exploratory)
        found[claim] = analysis.load(write(folder, claim, (QUERIES, LAYERS), "factorial", with_latency=False))
    terms = found[EXPLORING].factorial_terms()
    assert found[CLAIM].factorial_terms().set_index("term")["verdict"]["queries"] == "shown"
    assert set(terms["verdict"]) == {EXPLORATION} and terms["p_holm"].isna().all()
    assert terms["variance_share"].tolist() == found[CLAIM].factorial_terms()["variance_share"].tolist()
    sentence = describe_factorial_terms(terms)[0]
    assert sentence.startswith("An exploration, so no verdict on any main effect of mask IoU; queries has the")


def test_published_numbers_are_put_on_no_front_and_no_arm_is_their_best(published):
    assert published.data.registered_seeds == (0, 1, 2)
    frame = published.pareto()
    assert set(frame["state"]) == {UNKNOWN_IMAGES} and not frame[["on_front", "is_knee"]].any(axis=None)
    assert frame["quality"].notna().all()
    assert describe_pareto(frame) == [
        "Not known to be scored on the same test images, and so neither compared nor on a front: baseline, small, mid."
    ]
    assert published.fronts().empty and describe_fronts(published.fronts()) == []
    assert published.simplification().empty


def test_the_page_of_published_numbers_compares_nothing(published, tmp_path):
    page = write_report(published, tmp_path / "results").read_text()
    for text in ("Surely", "best mean", "hypervolume", "front of the means", "non-inferior to"):
        assert text not in page


def test_no_published_arm_is_recommended(published):
    study = analysis.load(published.data.log.root, budget={"params_trained": 1e9})
    with pytest.raises(RequestError, match="no arm of 'published' is known to be scored on the test images of another"):
        study.recommendation()


def test_an_arm_without_one_of_its_costs_has_no_state(tmp_path):
    def change(trial, row):
        is_lacking = (trial.arm.name, trial.seed) == ("fusion.queries=16", 2)
        took = PARAMS[trial.config.fusion.queries] + trial.seed
        return numbers(trial, row) | {"cost/train_s": None if is_lacking else took}

    path = StudyWriter(tmp_path / "s", space=space((QUERIES,)), change_row=change, with_latency=False).write()
    frame = analysis.load(path, ("quality", "train_s")).pareto().set_index("arm")
    assert frame.loc["fusion.queries=16", "state"] == "no verdict (cost unknown)"
    assert frame.loc["baseline", "state"] == "on the front"
