"""Which share of a GPU a trial gets, what is kept of it, and the way up after trials that ran out of memory."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import small_study
from played_search import Played
from ray.tune.search import Searcher

from foresight.errors import RunEndedError
from foresight.runlog import RunLog
from foresight.space import Trial
from foresight.tuning.declaration import manifest_row
from foresight.tuning.gpu_share import MOST_PARTS, RAY_UNITS, GpuShare, choose_parts
from foresight.tuning.in_order import InOrder
from foresight.tuning.out_of_memory import JUDGED, OUTGREW
from foresight.tuning.packing import Packing, describe_parts, load_packing, packing_tree
from foresight.tuning.record import Planned
from foresight.tuning.search_alg import ProposalSearcher

SPACE = small_study.space("tiny")
BASELINE, LAYERS, QUERIES = SPACE.arms()
TRIALS = SPACE.trials(2)
GPU_MB, OVERHEAD_MB = 80_000.0, 500.0


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    log = RunLog(tmp_path / "runs" / "small_study")
    log.write_manifest([manifest_row(trial) for trial in TRIALS])
    return log


@pytest.fixture
def packing(log: RunLog) -> Packing:
    """The baseline needs a tenth of the GPU, an arm a quarter, and the third was not measured."""
    packing = open_packing(log)
    packing.measure(BASELINE, 7_500.0)
    packing.measure(LAYERS, 19_500.0)
    return packing


def open_packing(log: RunLog, gpu_mb: float = GPU_MB) -> Packing:
    found = load_packing(log, gpu_mb, OVERHEAD_MB)
    assert found is not None
    return found


def planned(trial: Trial) -> Planned:
    return Planned(trial, "small_study", attempt=1)


def parts(packing: Packing) -> list[int]:
    return [packing.share_of(arm.config).parts for arm in (BASELINE, LAYERS, QUERIES)]


@pytest.mark.parametrize(
    ("need_mb", "too_small_mb", "expected"),
    [
        (100, 0, 8),  # 120 with the margin; an eighth of 1000 is 125
        (104.1, 0, 8),
        (104.2, 0, 7),  # 125.04
        (250, 0, 3),  # 300: a third
        (400, 0, 2),  # 480
        (416.6, 0, 2),
        (416.7, 0, 1),  # 500.04: no half
        (5000, 0, 1),
        (100, 125, 7),  # an eighth was too small
        (100, 1000 / 7, 6),
        (100, 500, 1),
        (250, 125, 3),  # what was too small for it is known to be so
    ],
)
def test_the_parts_of_a_gpu_by_hand(need_mb, too_small_mb, expected):
    assert choose_parts(need_mb, 1000.0, too_small_mb) == expected


def test_as_many_shares_fit_on_a_gpu_as_it_has_parts():
    for n in range(1, MOST_PARTS + 1):
        units = round(GpuShare(n).ray_gpus * RAY_UNITS)
        assert n * units <= RAY_UNITS < (n + 1) * units


# --- needs -----------------------------------------------------------------------------------------------------------


def test_an_arm_gets_what_it_needs_and_one_that_was_not_measured_the_most_that_any_does(packing):
    # 1.2 x 8000 = 9600 of 10,000; 1.2 x 20,000 = 24,000 of 26,667
    assert parts(packing) == [8, 3, 3]
    assert packing.place(planned(TRIALS[0])).share == GpuShare(8, OVERHEAD_MB)
    assert packing.count_parts(arm.config for arm in (BASELINE, LAYERS, QUERIES)) == {3: 2, 8: 1}
    assert describe_parts({1: 1}) == "1 arm on a whole GPU"
    assert describe_parts({3: 2, 8: 1}) == "2 arms on 1/3 of a GPU, 1 on 1/8 of a GPU"


def test_where_nothing_is_known_a_trial_has_a_gpu_of_its_own(log):
    assert parts(open_packing(log)) == [1, 1, 1]
    assert load_packing(log) is None


def test_what_was_measured_is_found_again_also_for_another_gpu(log, packing):
    assert parts(open_packing(log)) == [8, 3, 3]
    assert parts(open_packing(log, gpu_mb=40_000.0)) == [4, 1, 1]
    assert load_packing(log).gpu_mb == GPU_MB


def test_finished_trials_tell_what_their_arm_needs_until_it_is_measured(log):
    def finish(trial: Trial, peak_mb: float, status: str = "complete") -> None:
        log.write_trial(planned(trial).identity() | {"status": status, "cost/peak_memory_mb": peak_mb})

    finish(TRIALS[0], 6_000.0)
    finish(TRIALS[3], 9_000.0)  # the baseline's other seed
    finish(TRIALS[1], 70_000.0, "failed")
    packing = open_packing(log)
    assert packing.needs[BASELINE.config.arm_key].peak_mb == pytest.approx(9_000 * 1.2)
    # 1.2 x (10,800 + 500) = 13,560 of 16,000
    assert packing.share_of(BASELINE.config).parts == 5
    assert not packing.is_measured(LAYERS.config)
    packing.measure(BASELINE, 7_500.0)
    assert open_packing(log).share_of(BASELINE.config).parts == 8


def test_a_plan_says_what_is_known(log, packing):
    arms = [arm.config for arm in (BASELINE, LAYERS, QUERIES)]
    assert packing_tree(log, arms) == {"gpu_mb": GPU_MB, "parts": {3: 1, 8: 1}, "n_unmeasured": 1}
    empty = RunLog(log.root.with_name("other"))
    assert packing_tree(empty, arms) == {"gpu_mb": None, "parts": {}, "n_unmeasured": 3}


# --- the way up, of a declared design --------------------------------------------------------------------------------


def outgrown(item: Planned) -> dict[str, Any]:
    return {"key": item.key, "done": True, OUTGREW: item.attempt, JUDGED: 0}


def suggest(searcher: Searcher, trial_id: str) -> Planned:
    item = searcher.suggest(trial_id)["planned"].planned
    assert isinstance(item, Planned)
    return item


def test_a_trial_climbs_to_a_gpu_of_its_own_and_its_arm_with_it(packing, log):
    said: list[str] = []
    searcher = InOrder([planned(TRIALS[0]), planned(TRIALS[3])], packing, said.append)
    item, seen = suggest(searcher, "0"), []
    while not item.share.is_whole:
        seen.append((item.share.parts, item.attempt))
        searcher.on_trial_complete(str(item.attempt - 1), outgrown(item))
        item = suggest(searcher, str(item.attempt))
    assert seen == [(8, 1), (7, 2), (6, 3), (5, 4), (4, 5), (3, 6), (2, 7)]
    assert (item.key, item.attempt) == (TRIALS[0].key, 8)
    assert said[0] == (f"{item.key} ran out of memory on 1/8 of a GPU and runs again on 1/7 of a GPU as attempt 2")
    assert len(said) == 7
    assert said[-1].endswith("runs again on a whole GPU as attempt 8")
    assert suggest(searcher, "other").share.is_whole  # the other seed of the arm
    assert parts(open_packing(log)) == [1, 3, 3]  # the other arms as before


def test_nothing_is_over_while_a_trial_runs_that_may_come_again(packing):
    searcher = InOrder([planned(TRIALS[0])], packing)
    item = suggest(searcher, "a")
    assert searcher.suggest("b") is None
    searcher.on_trial_complete("a", outgrown(item))
    assert suggest(searcher, "b").attempt == 2
    assert searcher.suggest("c") is None
    searcher.on_trial_complete("b", {"key": item.key, "done": True})
    assert searcher.suggest("c") == Searcher.FINISHED


def test_the_attempts_of_a_process_that_was_lost_count_as_well(packing):
    searcher = InOrder([planned(TRIALS[0])], packing)
    item = suggest(searcher, "a")
    searcher.on_trial_complete("a", outgrown(item) | {OUTGREW: 3})
    assert suggest(searcher, "b").attempt == 4


def test_an_arm_that_was_not_measured_climbs_from_the_most_that_any_needs(packing, log):
    searcher = InOrder([planned(next(trial for trial in TRIALS if trial.arm == QUERIES))], packing)
    item = suggest(searcher, "a")
    assert item.share.parts == 3
    searcher.on_trial_complete("a", outgrown(item))
    assert suggest(searcher, "b").share.parts == 2
    again = open_packing(log)
    assert parts(again) == [8, 3, 2]
    assert not again.is_measured(QUERIES.config)


def test_two_that_outgrew_one_share_at_once_get_the_same_larger_one(packing):
    searcher = InOrder([planned(TRIALS[0]), planned(TRIALS[3])], packing)
    items = [suggest(searcher, name) for name in "ab"]
    for name, item in zip("ab", items, strict=True):
        searcher.on_trial_complete(name, outgrown(item))
    assert [suggest(searcher, name).share.parts for name in "cd"] == [7, 7]


def test_a_driver_that_dies_between_loses_nothing(packing, log):
    """What was too small is on disk before the trial waits again, and the trial has no row: the next command runs it."""
    searcher = InOrder([planned(trial) for trial in TRIALS], packing)
    searcher.on_trial_complete("a", outgrown(suggest(searcher, "a")))
    del searcher, packing  # killed
    assert log.statuses() == {}
    again = InOrder([planned(trial) for trial in TRIALS], open_packing(log))
    first = suggest(again, "a")
    assert (first.key, first.share.parts) == (TRIALS[0].key, 7)
    assert {suggest(again, str(n)).key for n in range(5)} == {trial.key for trial in TRIALS[1:]}


def test_without_packing_nothing_has_a_share_and_nothing_is_waited_for():
    searcher = InOrder([planned(TRIALS[0])])
    assert suggest(searcher, "a").share is None
    assert "env/gpu_share" not in planned(TRIALS[0]).identity()
    assert searcher.suggest("b") == Searcher.FINISHED


# --- the way up, of a search -----------------------------------------------------------------------------------------


def test_a_proposal_that_outgrew_its_share_runs_again_before_the_sampler_hears_of_it(tmp_path):
    played, said = Played(), []
    log = RunLog(tmp_path / "runs" / "played")
    proposals = played.open(2)
    packing = open_packing(log)
    packing.measure(SimpleNamespace(name="baseline", config=played.space.baseline), 7_500.0)
    searcher = ProposalSearcher(proposals, log, planned, lambda n_left: None, packing, said.append)
    item = suggest(searcher, "a")
    assert item.share.parts == 8
    searcher.on_trial_complete("a", outgrown(item))
    assert proposals.running == {item.key}
    assert not proposals.is_over
    larger = suggest(searcher, "b")
    assert (larger.key, larger.attempt, larger.share.parts) == (item.key, 2, 7)
    assert len(said) == 1
    log.write_trial(larger.identity() | {"status": "complete", "val/mask_iou": 0.5})
    searcher.on_trial_complete("b", {"key": item.key, "done": True})
    assert proposals.running == set()
    assert log.read_trial(item.key)["attempt"] == 2
    assert log.read_trial(item.key)["env/gpu_share"] == 1 / 7


# --- a storage that does not answer for a moment ---------------------------------------------------------------------


def test_a_search_hears_of_a_trial_when_tune_asks_again(tmp_path, monkeypatch):
    """Tune takes an error of its searcher for one of the trial, which it tries again; that finds its row, and ends at once."""
    played, log = Played(), RunLog(tmp_path / "runs" / "played")
    proposals = played.open(1)
    searcher = ProposalSearcher(proposals, log, planned, lambda n_left: None)
    item = suggest(searcher, "a")
    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "refresh_trial", away)
        with pytest.raises(RunEndedError):
            searcher.on_trial_complete("a", {"key": item.key, "done": True})
    log.write_trial(item.identity() | {"status": "complete", "val/mask_iou": 0.5})
    searcher.on_trial_complete("a", {"key": item.key, "done": True})
    assert proposals.running == set()


def test_a_packed_trial_that_outgrew_its_share_comes_again_when_tune_asks_again(packing, monkeypatch):
    searcher = InOrder([planned(TRIALS[0])], packing)
    item = suggest(searcher, "a")
    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "write_arm", away)
        with pytest.raises(RunEndedError):
            searcher.on_trial_complete("a", outgrown(item))
    searcher.on_trial_complete("a", outgrown(item))
    assert suggest(searcher, "b").key == item.key


def away(*arguments: object) -> None:
    raise RunEndedError("the storage is away")
