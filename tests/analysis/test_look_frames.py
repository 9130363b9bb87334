"""A study whose claim has looks: the frame, its sentences, and verdicts that later seeds cannot undo."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from study_writer import CLAIM, StudyWriter

import analysis
from analysis.looks import build_looks, describe_looks
from foresight.errors import RequestError
from foresight.looks import TEST_COLUMNS, as_json_rows
from foresight.runlog import RunLog
from foresight.spending import Spending

LOOKED = replace(CLAIM, spending=Spending("pocock", (5, 8, 12)))


NOISY = ("fusion.layers=6", "fusion.strategy=film")


def with_noisy_arms(trial, row):
    """Two arms whose noise hides whether they differ."""
    noise = np.random.default_rng([trial.seed, len(trial.arm.name)]).normal(0, 0.1) if trial.arm.name in NOISY else 0
    return row | {"test/mask_iou": row["test/mask_iou"] + noise}


def write(root, n_seeds: int = 8, change_row=with_noisy_arms):
    """A study of 7 arms, which is enough here."""
    writer = StudyWriter(root / "runs" / "p2_ablations", claim=LOOKED, n_seeds=n_seeds, with_latency=False)
    writer.change_row = change_row
    writer.space = replace(writer.space, factors=writer.space.factors[:2])
    return writer.write()


def arm_row(study: analysis.Study, arm: str):
    verdicts = study.verdicts()
    return verdicts[(verdicts["kind"] == "arm") & (verdicts["name"] == arm)].iloc[0]


def record_first_look(root):
    """Writes the first look to looks.json as the sweep would have, and returns it."""
    looks = analysis.load(root).looks()
    taken = looks[looks["look"] == 1].assign(time="2026-11-20T08:00:00+00:00")
    RunLog(root).write_looks(as_json_rows(taken[list(TEST_COLUMNS)]))
    return taken


def test_each_arm_is_judged_at_the_look_that_decided_it(tmp_path):
    study = analysis.load(write(tmp_path))
    looks = study.looks().set_index(["look", "arm"])
    row = arm_row(study, "fusion.strategy=concat")
    assert looks.loc[(1, "fusion.strategy=concat"), "verdict"] == row["verdict"] == "worse"
    assert (2, "fusion.strategy=concat") not in looks.index
    assert (row["n_seeds"], row["seeds"]) == (5, "0 1 2 3 4")
    assert "200 test images, decided at look 1 of 3 with 5 seeds; adjusted p" in row["sentence"]
    assert looks.loc[(2, NOISY[0]), "verdict"] == "undecided"
    row = arm_row(study, NOISY[0])
    assert ", not decided at look 2 of 3 with 8 seeds; adjusted p" in row["sentence"]
    # There is a third look.
    assert re.search(r"If it stays as found, (about|more than) \d+ more seeds? would decide it", row["sentence"])
    assert row["n_seeds"] == 8
    # The table shows the numbers that the verdict rests on.
    table = study.table()
    shown = table[(table["arm"] == NOISY[0]) & (table["role"] == "primary")].iloc[0]
    assert shown["p_holm"] == row["p_holm"] == looks.loc[(2, NOISY[0]), "p_holm"]
    assert (shown["difference"], shown["difference_low"]) == (row["estimate"], row["low"])


def test_seeds_between_two_looks_change_nothing(tmp_path):
    at_five = analysis.load(write(tmp_path / "five", n_seeds=5)).verdicts()
    at_seven = analysis.load(write(tmp_path / "seven", n_seeds=7)).verdicts()
    arms = ["name", "verdict", "estimate", "low", "high", "p_holm", "sentence"]
    assert at_five[arms].equals(at_seven[arms])


def test_what_was_recorded_stands_when_the_numbers_change_and_the_report_says_so(tmp_path):
    root = write(tmp_path)
    log, taken = RunLog(root), record_first_look(root)
    for key in log.trials().query("arm == 'fusion.strategy=concat'")["key"]:
        row = log.read_trial(key)
        log.write_trial(
            {name: v for name, v in row.items() if v is not None} | {"test/mask_iou": row["test/mask_iou"] + 0.3}
        )
    study = analysis.load(root)
    row = arm_row(study, "fusion.strategy=concat")
    assert row["verdict"] == "worse"
    assert ", decided at look 1 of 3 with 5 seeds" in row["sentence"]
    looks = study.looks()
    assert looks["is_recorded"].sum() == len(taken)
    assert any(
        sentence.startswith(
            "fusion.strategy=concat is worse as recorded at look 1; from today's numbers it would be better"
        )
        for sentence in describe_looks(looks)
    )


@pytest.mark.parametrize("gone", ["fusion.strategy=concat", "baseline"])
def test_a_recorded_verdict_whose_trials_are_gone_is_none_and_the_report_says_so(tmp_path, gone):
    root = write(tmp_path)
    taken = record_first_look(root)
    log = RunLog(root)
    (key,) = log.trials().query(f"arm == '{gone}' and seed == 2")["key"]
    shutil.rmtree(root / "trials" / key)
    for derived in root.glob("consolidated*.parquet"):
        derived.unlink()
    study = analysis.load(root)
    row = arm_row(study, "fusion.strategy=concat")
    assert row["verdict"] == "no verdict (4 of 5 seeds of look 1)"
    assert row["sentence"].endswith("trials that look 1 compared are gone, so there is no difference to show.")
    shown = study.table().query("arm == 'fusion.strategy=concat' and role == 'primary'").iloc[0]
    assert (row["n_seeds"], row["seeds"], shown["n_pairs"]) == (0, "", 0)
    assert row[["estimate", "low", "high", "p_holm"]].isna().all()
    assert shown[["difference", "difference_low", "difference_high", "p"]].isna().all()
    assert "look 1 of 3" not in row["sentence"]
    looks = study.looks()
    lost = looks[looks["n_pairs"] < looks["n_seeds"]]
    assert len(lost) == (len(taken) if gone == "baseline" else 1)
    said = [sentence for sentence in describe_looks(looks) if "trials behind it are gone" in sentence]
    assert len(said) == len(lost)
    assert any(
        sentence.startswith("fusion.strategy=concat is worse as recorded at look 1, but")
        and "4 of its 5 paired seeds are left" in sentence
        for sentence in said
    )


def test_looks_are_computed_once(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(analysis, "build_looks", lambda data: calls.append(1) or build_looks(data))
    study = analysis.load(write(tmp_path))
    study.verdicts(), study.table(), study.looks()
    assert calls == [1]


def test_sentences_say_what_each_look_found_and_spent(tmp_path):
    looks = analysis.load(write(tmp_path)).looks()
    first, second, note = describe_looks(looks)
    assert first.startswith("Look 1 of 3 at 5 seeds tested 6 arms at the level 0.027: ")
    assert first.endswith("By then 0.027 of alpha 0.05 was spent (pocock).")
    assert second.startswith("Look 2 of 3 at 8 seeds tested ")
    assert "Means of all arms are over the seeds of the first look" in note


def test_an_arm_with_a_failed_trial_has_no_verdict(tmp_path):
    def fails(trial, row):
        if trial.arm.name == "fusion.layers=8" and trial.seed == 2:
            return {k: v for k, v in row.items() if not k.startswith("test/")} | {
                "status": "failed",
                "error": "E: it diverged",
            }
        return row

    study = analysis.load(write(tmp_path, change_row=fails))
    assert arm_row(study, "fusion.layers=8")["verdict"] == "no verdict (4 of 5 seeds, 1 failed)"
    assert "fusion.layers=8" not in set(study.looks()["arm"])


def test_a_claim_with_one_look_has_no_frame_of_looks(complete_study):
    assert complete_study.looks().empty
    assert describe_looks(complete_study.looks()) == []
    assert "look" not in " ".join(complete_study.verdicts()["sentence"])


def test_seeds_up_to_the_last_look_are_no_extra_seeds(tmp_path):
    def kinds(root):
        return {caution.kind for caution in analysis.load(root).cautions()}

    assert "extra_seeds" not in kinds(write(tmp_path / "a", n_seeds=12))
    assert "extra_seeds" in kinds(write(tmp_path / "b", n_seeds=13))


@pytest.mark.parametrize("content", ["{", '{"look": 1}', "[1]"])
def test_a_damaged_record_of_looks_is_named(tmp_path, content):
    root = write(tmp_path)
    (root / "looks.json").write_text(content)
    with pytest.raises(RequestError, match=r"looks\.json"):
        analysis.load(root)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"alpha_at_look": 0.05}, "which the claim does not declare"),
        ({"metric": "lpips"}, "on lpips with margin .*, and the claim is about mask_iou"),
        ({"margin": 0.5}, "on mask_iou with margin 0.5, and the claim is about mask_iou"),
    ],
)
def test_a_record_of_looks_that_the_claim_does_not_declare_is_refused(tmp_path, changed, said):
    root = write(tmp_path)
    rows = as_json_rows(analysis.load(root).looks())
    rows[0] |= changed
    (root / "looks.json").write_text(json.dumps(rows))
    with pytest.raises(RequestError, match=said):
        analysis.load(root)
