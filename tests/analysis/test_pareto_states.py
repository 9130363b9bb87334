"""The Pareto frames of a stored study: objectives, states, knee, hypervolume, and the configuration for a budget."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from study_writer import CLAIM, space
from typer.testing import CliRunner

import analysis
from analysis.__main__ import app
from analysis.pareto import FRONT_COLUMNS, PARETO_COLUMNS, describe_fronts, describe_pareto
from analysis.recommend import describe_recommendation, read_budget, write_recommendation
from foresight.config import TrialConfig
from foresight.errors import RequestError
from foresight.space import Factor

SPACE = space((Factor("queries", "fusion.queries", (16, 32, 64, 128)),))
ARMS = {"fusion.queries=16": "small", "fusion.queries=32": "near", "baseline": "best", "fusion.queries=128": "beaten"}
# Offsets around each arm's mean, one per seed: next to the same for all arms but `near`, whose seeds disagree.
BLOCK = (-0.02, -0.01, 0.0, 0.01, 0.02)
OWN = {
    "small": (0.001, -0.001, 0.0, 0.001, -0.001),
    "near": (0.03, -0.03, 0.02, -0.02, 0.0),
    "beaten": (0.001, 0, 0, 0, -0.001),
}
MEANS = {"small": 0.50, "near": 0.695, "best": 0.70, "beaten": 0.60}
PARAMS = {"small": 1_000, "near": 30_000, "best": 20_000, "beaten": 200_000}


def numbers(trial, row):
    name = ARMS[trial.arm.name]
    own = OWN.get(name, (0.0, 0.001, 0.0, -0.001, 0.0))[trial.seed]
    return row | {
        "test/mask_iou": MEANS[name] + BLOCK[trial.seed] + own,
        "cost/params_trained": PARAMS[name],
        "cost/flops": 1e9,
        "cost/gpu_s": 10.0 + trial.seed,
    }


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    from study_writer import StudyWriter

    root = tmp_path_factory.mktemp("pareto") / "runs" / "p2"
    return analysis.load(StudyWriter(root, space=SPACE, change_row=numbers, with_latency=False).write())


def test_states_probabilities_and_knee(study):
    frame = study.pareto()
    assert tuple(frame) == PARETO_COLUMNS
    rows = frame.assign(name=frame["arm"].map(ARMS)).set_index("name")
    assert rows["state"].to_dict() == {
        "best": "on the front", "near": "ambiguous", "small": "on the front", "beaten": "dominated",
    }  # fmt: skip
    assert rows["on_front"].to_dict() == {"best": True, "near": False, "small": True, "beaten": False}
    assert rows.loc["near", "dominated_by"] == "baseline"
    assert rows.loc["near", "p_front"] + rows.loc["near", "p_dominated"] == pytest.approx(1)
    assert 0.05 < rows.loc["near", "p_front"] < 0.5
    assert rows.loc["beaten", ["p_front", "p_dominated"]].tolist() == [0, 1]
    assert not rows["is_knee"].any()  # two points on the front of the means
    assert rows["quality"].is_monotonic_decreasing
    sentences = describe_pareto(frame)
    assert sentences[1:3] == ["Surely on the front: baseline (1.00), fusion.queries=16 (1.00).", sentences[2]]
    assert sentences[3] == "Surely dominated: fusion.queries=128 (by baseline, 1.00)."


def test_the_same_log_gives_the_same_states(study):
    again = analysis.load(study.data.log.root)
    pd.testing.assert_frame_equal(study.pareto(), again.pareto())
    pd.testing.assert_frame_equal(study.fronts(), again.fronts())


def test_hypervolume_states_its_reference_and_what_was_left_out(study):
    fronts = study.fronts()
    assert tuple(fronts) == FRONT_COLUMNS
    assert fronts["objectives"].tolist() == ["quality params_trained"]
    first = fronts.iloc[0]
    # Scaled over the arms, log parameters: best (0, log 20 / log 200), small (1, 0); the volume up to (1.1, 1.1).
    at = np.log(20) / np.log(200)
    assert first["hypervolume"] == pytest.approx((1.1 * (1.1 - at) + 0.1 * at) / 1.21, abs=1e-9)
    assert first["low"] <= first["hypervolume"] <= first["high"]
    assert first["reference"] == "at 1.1 of each range, log trained parameters"
    assert first["left_out"] == "latency (not known for 4 of 4 arms)"
    assert "Left out of the objectives: latency (not known for 4 of 4 arms)." in describe_fronts(fronts)


def test_objectives_that_do_not_tell_arms_apart_are_named(study):
    chosen = analysis.load(study.data.log.root, ("lpips_random_trunk", "params_trained", "flops", "gpu_s"))
    frame = chosen.pareto()
    assert set(frame["objectives"]) == {"lpips_random_trunk params_trained"}
    assert frame["lpips_random_trunk"].notna().all()
    left_out = chosen.fronts()["left_out"].iloc[0]
    assert left_out == "FLOPs (the same for every arm); GPU-seconds (the same for every arm)"


def test_sizes_of_one_budget_are_no_objective(write_study):
    sizes = dict(zip(ARMS.values(), (100_008, 99_950, 100_000, 101_300), strict=True))
    fields = {"space": SPACE, "with_latency": False}
    path = write_study(
        change_row=lambda t, row: numbers(t, row) | {"cost/params_trained": sizes[ARMS[t.arm.name]]}, **fields
    )
    study = analysis.load(path)
    assert study.pareto()["objectives"].unique().tolist() == ["quality"]
    assert "trained parameters (the same for every arm to within 5 %)" in study.fronts()["left_out"].iloc[0]


def test_an_arm_without_all_registered_seeds_has_no_state(write_study):
    def change(trial, row):
        return None if trial.seed == 3 and trial.arm.name == "fusion.queries=16" else numbers(trial, row)

    frame = analysis.load(write_study(space=SPACE, change_row=change, with_latency=False)).pareto().set_index("arm")
    assert frame.loc["fusion.queries=16", "state"] == "no verdict (4 of 5 seeds)"
    assert np.isnan(frame.loc["fusion.queries=16", "p_front"])
    assert frame.loc["fusion.queries=16", "on_front"]  # of the means it still is
    assert frame.loc["baseline", "state"] == "on the front"


@pytest.mark.parametrize(("seeds", "state"), [((0,), "ambiguous"), ((0, 1, 2, 3), "ambiguous"), ((), "on the front")])
def test_no_arm_is_surely_on_the_front_while_one_that_lacks_seeds_may_dominate_it(write_study, seeds, state):
    """`best` has fewer parameters than `beaten` and scores more; where it lacks a seed it has no state, and may still do so."""

    def change(trial, row):
        if (
            trial.arm.name == "fusion.queries=32"
        ):  # near: as good as small, and dearer, so never on the front for its own sake
            return None
        is_best = trial.arm.name == "baseline"
        row = numbers(trial, row)
        if trial.arm.name == "fusion.queries=16":  # what might be dominated: as good as the best, to within the noise
            row["test/mask_iou"] = MEANS["best"] + BLOCK[trial.seed] + OWN["near"][trial.seed]
            row["cost/params_trained"] = PARAMS["best"] + 100_000
        if is_best and seeds:
            return row if trial.seed in seeds else None
        return None if is_best else row

    frame = analysis.load(write_study(space=SPACE, change_row=change, with_latency=False)).pareto().set_index("arm")
    assert frame.loc["fusion.queries=16", "state"] == state
    said = describe_pareto(frame.reset_index())
    assert ("States are among the 2 arms with every registered seed." in said[0]) == bool(seeds)


def test_fewer_seeds_than_claimed_give_no_state(write_study):
    study = analysis.load(write_study(space=SPACE, change_row=numbers, n_seeds=2))
    assert set(study.pareto()["state"]) == {"no verdict (2 of 5 seeds)"}
    assert study.fronts()["low"].isna().all()
    assert study.simplification().empty


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("quality", "flop"),
            r"'flop' is no objective of study 'p2' \(did you mean 'flops'\?\); its objectives are quality, params",
        ),
        (("quality",), "two or more different objectives, got quality"),
        (("quality", "mask_iou"), "two or more different objectives, got quality, mask_iou"),
    ],
)
def test_wrong_objectives_are_refused_before_any_work(study, names, message):
    with pytest.raises(RequestError, match=message):
        analysis.load(study.data.log.root, names)


def test_a_budget_is_read_and_refused():
    assert read_budget(["params_trained=1e6", "latency_ms=12.5"]) == {"params_trained": 1e6, "latency_ms": 12.5}
    for text, message in (
        ("param_trained=3", "did you mean 'params_trained'"),
        ("latency_ms", "sets no limit"),
        ("latency_ms=-1", "pays for nothing"),
        ("latency_ms=nan", "pays for nothing"),
    ):
        with pytest.raises(RequestError, match=message):
            read_budget([text])


def test_the_recommended_arm_and_its_rivals(study):
    of = analysis.load(study.data.log.root, budget={"params_trained": 1e5})
    row = of.recommendation().iloc[0]
    assert row[["arm", "n_affordable", "n_arms", "n_seeds"]].tolist() == ["baseline", 3, 4, 5]
    assert row["not_told_apart"] == "fusion.queries=32"
    assert describe_recommendation(of.recommendation()) == [
        "Within params_trained=100000, baseline has the best mean mask IoU, 0.700 [0.681, 0.719], of 3 affordable arms "
        "(of 4 with every registered seed).",
        "It is not told apart from fusion.queries=32.",
    ]
    assert study.recommendation().empty
    with pytest.raises(RequestError, match="pays for no arm of 'p2'; the least that one takes is params_trained 1000"):
        analysis.load(study.data.log.root, budget={"params_trained": 500}).recommendation()


def test_the_command_writes_a_config_that_a_sweep_can_start_from(study, tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.report.draw_figures", lambda study: [])  # they take seconds, and are tested elsewhere
    command = ["p2", "--runs", str(study.data.log.root.parent), "--out", str(tmp_path)]
    chosen = [*command, "--objectives", "quality,params_trained", "--budget", "params_trained=5000"]
    shown = CliRunner().invoke(app, chosen, catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    written = tmp_path / "p2" / "recommended.json"
    config = TrialConfig.model_validate(json.loads(written.read_text()))
    assert (config.fusion.queries, config.seed) == (16, 0)
    recommended = pd.read_csv(tmp_path / "p2" / "recommendation.csv")
    assert config.key == recommended["key"].iloc[0]
    assert str(written) in shown.output
    assert {"pareto_front.csv", "fronts.csv"} <= {path.name for path in (tmp_path / "p2").iterdir()}
    assert write_recommendation(study.data, study.recommendation(), tmp_path / "p2") is None
    assert not written.exists()  # nobody takes an earlier budget's for this one's
    refused = CliRunner().invoke(app, [*command, "--budget", "params_trained=1"])
    assert (refused.exit_code, written.exists()) == (2, False)


def test_a_trial_without_its_config_cannot_be_recommended(write_study):
    path = write_study(space=SPACE, change_row=numbers)
    for config in path.glob("trials/*/config.json"):
        config.unlink()
    with pytest.raises(RequestError, match=r"has no config\.json, so no sweep could start"):
        analysis.load(path, budget={"params_trained": 1e9}).recommendation()


def test_a_lower_primary_metric_is_better_when_lower(write_study):
    claim = replace(CLAIM, primary="mse", margin=0.01, criteria=())
    study = analysis.load(write_study(space=SPACE, claim=claim, change_row=numbers, with_latency=False, n_seeds=5))
    frame = study.pareto()
    assert frame["quality"].is_monotonic_increasing
    assert frame["on_front"].iloc[0]


def test_a_study_of_one_arm_has_a_front_of_one(write_study):
    def change(trial, row):
        return numbers(trial, row) if trial.arm.name == "baseline" else None

    study = analysis.load(write_study(space=SPACE, change_row=change, with_latency=False))
    assert study.pareto()[["arm", "on_front", "state"]].to_numpy().tolist() == [["baseline", True, "on the front"]]
    assert study.fronts()["n_on_front"].tolist() == [1]
    with pytest.raises(RequestError, match="none of the objectives latency_ms, peak_memory_mb is known for every arm"):
        path = study.data.log.root
        for file in path.glob("trials/*/trial.parquet"):
            row = study.data.log.read_trial(file.parent.name) | {"cost/peak_memory_mb": None}
            study.data.log.write_trial(row, {})
        analysis.load(path, ("latency_ms", "peak_memory_mb")).pareto()


def test_a_budget_on_a_cost_that_nobody_measured(complete_study):
    with pytest.raises(RequestError, match="limits flops, which no arm of 'p2_ablations' has measured"):
        analysis.load(complete_study.data.log.root, budget={"flops": 1e9}).recommendation()
