"""Every row of a frame that stems from some trials of a study names them in `keys`, and the page can show them."""

import pytest
from odd_logs import LAYERS, ODD
from study_writer import StudyWriter

import analysis
from analysis.report import render_report
from foresight.runlog import RunLog
from foresight.space import BASELINE

N_SEEDS = 3


def with_everything(trial, row):
    row |= {"share/vlm_influence_object": 0.2 + 0.01 * trial.seed}
    row |= {"heldout/clips/n": 6, "heldout/clips/hash": "ab12", "heldout/clips/mask_iou": 0.5 + 0.01 * trial.seed}
    row |= {"heldout/clips/baseline/mean_image/mask_iou": 0.1}
    return row | {"test/latency_vlm_ms": 10.0, "test/latency_ms": 20.0 + trial.seed, "data/items": "timed repeats"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("keys") / "runs" / "p2_fusion"
    writer = StudyWriter(root, space=LAYERS, n_seeds=N_SEEDS, change_row=with_everything, with_details=True)
    return analysis.load(writer.write())


def keys_of(study: analysis.Study, *arms: str) -> set[str]:
    trials = RunLog(study.data.log.root).trials()
    return set(trials.loc[trials["arm"].isin(arms), "key"])


@pytest.mark.parametrize("frame", ["breakdown", "heldout", "shares", "components", "pareto"])
def test_rows_of_one_arm_name_its_trials(study, frame):
    rows = getattr(study, frame)()
    assert len(rows)
    for _, row in rows.iterrows():
        expected = keys_of(study, row["arm"])  # of a trivial predictor there are none
        assert set(row["keys"].split()) == expected
        assert len(row["keys"].split()) == (N_SEEDS if expected else 0)


def test_rows_of_a_comparison_name_the_trials_of_both_sides(study, write_study):
    path = write_study(space=LAYERS, n_seeds=N_SEEDS, with_details=True)
    compared = analysis.load(path)
    for frame in (compared.per_image(), compared.image_extremes()):
        assert len(frame)
        for _, row in frame.iterrows():
            assert set(row["keys"].split()) == keys_of(compared, row["arm"], BASELINE)
            assert len(row["keys"].split()) == 2 * N_SEEDS
    page = render_report(compared, [])
    key = next(iter(keys_of(compared, ODD)))
    for title in ("Images won and lost", "Scene types"):
        section = page.split(f">{title}</h2>")[1].split("<h2")[0]
        assert f"<code>{key}</code>" in section


def test_simplification_names_the_arm_and_the_best(write_study):
    frame = analysis.load(write_study(space=LAYERS, n_seeds=5)).simplification()
    assert len(frame) == 3
    best = set(frame.loc[frame["is_best"], "keys"].iloc[0].split())
    assert len(best) == 5
    assert all(len(keys.split()) == 10 and best < set(keys.split()) for keys in frame.loc[~frame["is_best"], "keys"])


def test_the_page_shows_them_beside_shares_and_further_sets(study):
    page, key = render_report(study, []), next(iter(keys_of(study, ODD)))
    for title in ("Streams", "Further set: clips", "Time and memory of the components"):
        section = page.split(f">{title}</h2>")[1].split("<h2")[0]
        assert f"<code>{key}</code>" in section


def test_keys_stand_in_the_order_of_seeds_and_once(study):
    data = study.data
    expected = [key for seed in range(N_SEEDS) for key in data.complete.query("arm == @ODD and seed == @seed")["key"]]
    assert data.keys_at((ODD, ODD), range(10)).split() == expected
