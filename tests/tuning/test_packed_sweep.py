"""Two trials at once on one GPU, for real but for the GPU: Ray counts one, and its memory is pretended."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from driver import Ended, Study
from pretended_gpu import GPU_MB, OVERHEAD_MB, PEAK_MB

from foresight.verify import find_faults

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3000)]

WIDE = "fusion.queries=32"  # the arm that takes more than its probe has seen


@dataclass(frozen=True)
class Story:
    study: Study
    packed: Ended
    rows: pd.DataFrame  # of the packed trials, by key
    plain: pd.DataFrame  # of the same trials, run one by one in one process


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, feature_cache: Path) -> Story:
    study = Study("packed_study.py", tmp_path_factory.mktemp("packed") / "here", feature_cache)
    packed = study.start().wait(timeout_s=900)
    alone = Study("packed_study.py", tmp_path_factory.mktemp("plain") / "here", feature_cache)
    ended = alone.start("--plain").wait(timeout_s=900)
    assert ended.code == 0, ended.out + ended.err
    return Story(study, packed, *(log.trials().set_index("key").sort_index() for log in (study.log, alone.log)))


def test_every_trial_ends_whole(story):
    assert story.packed.code == 0, story.packed.out + story.packed.err
    assert (story.rows["status"] == "complete").all()
    assert "ERROR" not in story.packed.err
    assert list(find_faults(story.study.log)) == []


def test_two_trials_trained_at_once_on_one_gpu(story):
    """Each waits before its first step for another process that shares the GPU, and fails where none comes."""
    assert "sharing GPUs: 2 arms on 1/5 of a GPU" in story.packed.out
    assert len(list((story.study.folder / "runs" / "sharing").iterdir())) >= 2


def test_a_trial_that_runs_out_of_memory_runs_again_on_a_larger_share(story):
    wide, others = (story.rows[(story.rows["arm"] == WIDE) == is_wide] for is_wide in (True, False))
    assert dict(zip(wide["seed"], wide["attempt"], strict=True)) == {0: 2, 1: 1}  # what is learned holds for the next
    assert (wide["env/gpu_share"] == 1 / 4).all()
    assert (others["env/gpu_share"] == 1 / 5).all()
    assert (others["attempt"] == 1).all()
    said = "ran out of memory on 1/5 of a GPU and runs again on 1/4 of a GPU as attempt 2"
    assert story.packed.out.count(said) == story.packed.out.count("ran out of memory") == 1


def test_the_process_that_ran_out_of_memory_ran_no_other_trial(story):
    out_of_memory = set(story.rows.loc[story.rows["arm"] == WIDE, "env/pid"])
    assert out_of_memory.isdisjoint(story.rows.loc[story.rows["arm"] != WIDE, "env/pid"])


def test_what_was_measured_and_learned_is_kept(story):
    memory = story.study.log.read_arms("memory").set_index("arm")
    assert sorted(memory["too_small_mb"]) == [0.0, GPU_MB / 5]
    assert memory.loc[WIDE, "too_small_mb"] == GPU_MB / 5
    assert (memory[["peak_mb", "overhead_mb", "gpu_mb"]] == [PEAK_MB, OVERHEAD_MB, GPU_MB]).all(axis=None)


def test_sharing_changes_no_number(story):
    same = [
        name for name in story.plain if name.startswith(("test/", "val/", "train/", "baseline/", "share/", "data/"))
    ]
    assert len(same) > 20
    pd.testing.assert_frame_equal(story.rows[same], story.plain[same], check_exact=True)
