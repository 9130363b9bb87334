"""When a search makes no further proposal, by the pace of its trials and by what its run log has spent."""

import pytest
import small_search

from foresight.price import Money, Price
from foresight.runlog import RunLog
from foresight.tuning.budget import NO_LIMIT, Budget
from foresight.tuning.search_budget import SearchBudget
from foresight.tuning.sweep import Placement


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    moments = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: moments[0])
    return moments


@pytest.fixture
def log(tmp_path) -> RunLog:
    return RunLog(tmp_path / "runs" / "search")


def opened(budget: Budget, log: RunLog, slots: int = 1, seeds: int = 2) -> SearchBudget:
    return SearchBudget(budget, log, Placement(runs=log.root.parent, slots=slots, cache=log.root / "cache"), seeds)


def write(log: RunLog, number: int) -> None:
    row = {"key": f"p{number}", "sweep": "search", "arm": f"p{number}", "seed": 0, "status": "complete", "attempt": 1}
    log.write_trial(row | {"provenance": "trained", "cost/trial_s": 360.0, "cost/train_s": 300.0, "cost/gpu_s": 0.0})


def test_without_a_limit_it_always_goes_on(log, now):
    budget = opened(NO_LIMIT, log)
    now[0] = 1e9
    assert budget.may_propose()
    assert budget.lack is None


def test_time_is_kept_by_the_pace_from_one_end_to_the_next(log, now):
    budget = opened(Budget(hours=0.1), log)  # 360 s
    now[0] = 50.0
    budget.begin()
    assert budget.may_propose()  # nothing is known of the pace yet
    for moment in (150.0, 250.0):
        now[0] = moment
        budget.end_trial()
    assert not budget.may_propose()  # two more of 100 s would end at 450 s
    assert "4:10 of 6:00 are over and the next proposal should take 3:20" in str(budget.lack)


def test_hours_count_what_runs_in_the_other_slots(log, now):
    for number in range(3):
        write(log, number)  # 0.1 slot-hours each
    # 0.3 are spent; a proposal takes 0.2, and one more may be running beside it.
    assert opened(Budget(gpu_hours=0.5), log).may_propose()
    assert not opened(Budget(gpu_hours=0.5), log, slots=2).may_propose(1)
    assert opened(Budget(gpu_hours=0.61), log, slots=2).may_propose(1)
    assert not opened(Budget(gpu_hours=2.09), log, slots=8).may_propose(16)  # 8 slots, of proposals at two seeds each
    assert opened(Budget(gpu_hours=2.11), log, slots=8).may_propose(16)


def test_a_proposal_takes_as_long_as_its_trials_however_many_run_beside_it(log, now):
    for number in range(3):
        write(log, number)  # 360 s each
    assert not opened(Budget(hours=0.09), log, slots=8).may_propose()
    assert opened(Budget(hours=0.11), log, slots=8).may_propose()
    assert not opened(Budget(hours=0.19), log, slots=1).may_propose()  # its two seeds one after the other
    raced = SearchBudget(
        Budget(hours=0.19), log, Placement(log.root.parent, 8, cache=log.root / "cache"), 2, raced=True
    )
    assert not raced.may_propose()
    assert "the next proposal should take 12:00" in str(raced.lack)


def test_money_as_well(log, now):
    write(log, 0)
    budget = opened(Budget(money=Money(2.5, "EUR"), price=Price(10.0, "EUR")), log)
    assert not budget.may_propose()
    assert "1.00 of 2.50 EUR are spent" in str(budget.lack)
    assert "the next proposal should take 2.00" in str(budget.lack)


def test_features_that_a_budget_cannot_pay_for_are_not_begun(log, now, monkeypatch):
    configs = [small_search.space("tiny").baseline]
    monkeypatch.setattr("foresight.tuning.estimate.ASSUMED_FACTOR", 1.0)
    monkeypatch.setattr("foresight.tuning.estimate.ASSUMED_EXTRACTION_FLOPS", 1.0)
    monkeypatch.setattr("foresight.tuning.estimate.missing_flops", lambda configs, store: 720.0)  # 0.2 hours of a slot
    assert opened(NO_LIMIT, log).may_compute(configs)
    assert opened(Budget(gpu_hours=0.21), log).may_compute(configs)
    for budget in (Budget(gpu_hours=0.19), Budget(hours=0.19)):
        short = opened(budget, log)
        assert not short.may_compute(configs)
        assert "computing features should take" in str(short.lack)
    monkeypatch.setattr("foresight.tuning.estimate.missing_flops", lambda configs, store: 0.0)
    write(log, 0)
    assert opened(Budget(gpu_hours=0.05), log).may_compute(configs)  # all are cached: what was begun may end
