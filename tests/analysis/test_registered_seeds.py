"""Every number of an arm is over the registered seeds: what ran beyond them moves no mean, no interval and no verdict."""

from dataclasses import replace

import pandas as pd
import pytest
from study_writer import CLAIM, space

import analysis
from analysis.load import NothingCompleteError
from foresight.space import Factor

FEW = space((Factor("layers", "fusion.layers", (2, 4, 6)), Factor("weight", "fusion.vlm_weight", (0.3, 0.5))))
REFERENCED = replace(CLAIM, reference="fusion.layers=6")
FRAMES = (
    "table", "pareto", "fronts", "verdicts", "param_efficiency", "recommendation", "simplification", "scaling", "breakdown",
    "heldout", "shares", "replicates", "per_image", "image_extremes", "importance", "components",
)  # fmt: skip


def far_off_beyond(trial, row):
    """Seeds beyond the fifth are nothing like the others, in any column that a table shows."""
    hidden = {
        "heldout/coco/ssim": 0.5,
        "heldout/coco/n": 30,
        "heldout/coco/hash": "c0c0",
        "share/vlm_influence_object": 0.4,
    }
    row = row | hidden | {"test/latency_ms": 9.0, "test/latency_vlm_ms": 4.0, "test/lpips": 0.3}
    if trial.seed < 5:
        return row
    high = {"test/mask_iou": 0.94, "test/lpips": 0.01, "heldout/coco/ssim": 0.99, "share/vlm_influence_object": 0.99}
    return row | high | {"test/latency_ms": 90.0, "test/latency_vlm_ms": 80.0, "cost/train_s": 9000.0}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """One study with its five registered seeds, and the same with two more."""
    from study_writer import StudyWriter

    loaded = []
    for n_seeds in (5, 7):
        root = tmp_path_factory.mktemp(f"seeds{n_seeds}") / "runs" / "p2_ablations"
        fields = {"space": FEW, "claim": REFERENCED, "n_seeds": n_seeds, "change_row": far_off_beyond}
        path = StudyWriter(root, with_details=True, **fields).write()
        loaded.append(analysis.load(path, budget={"params_trained": 1e9}))
    return loaded


@pytest.mark.parametrize("name", FRAMES)
def test_trials_beyond_the_registered_seeds_change_no_frame(both, name):
    registered, more = (getattr(study, name)() for study in both)
    assert len(registered) > 0
    pd.testing.assert_frame_equal(registered, more)


def test_the_numbers_of_one_row_are_over_the_same_seeds(both):
    rows = both[1].table().query("kind == 'arm' and arm != 'baseline' and n_seeds > 0")
    assert (rows["seeds"] == rows["pair_seeds"]).all()
    assert set(rows["seeds"]) == {"0 1 2 3 4"}


def test_the_page_says_what_its_means_are_over(both):
    from analysis.report import render_report

    page = render_report(both[1], [])
    assert "Mask IoU: mean over the 5 registered seeds (those complete are listed) with its 95" in page
    assert "2 further complete seeds (5, 6) enter none" in page


def test_a_study_that_is_complete_beyond_its_registered_seeds_alone_has_no_numbers(write_study):
    def fail(trial, row):
        return row | {"status": "failed", "error": "nan"} if trial.seed < 5 else row

    with pytest.raises(NothingCompleteError, match=r"no complete trial at its registered seeds \(0, 1, 2, 3, 4\)"):
        analysis.load(write_study(space=FEW, n_seeds=7, change_row=fail))
