"""Budgets as they are declared and asked for, and what a run log says has been spent."""

import pandas as pd
import pytest

from foresight import side_costs
from foresight.errors import RequestError
from foresight.price import Money, Price
from foresight.runlog import RunLog
from foresight.side_costs import Held, SideCosts, read_side_costs
from foresight.tuning.budget import NO_LIMIT, Budget, choose_budget, count_gpu_s, held_seconds, recorded_seconds


def write(log: RunLog, key: str, arm: str = "a", **columns: object) -> None:
    row = {"key": key, "sweep": "s", "arm": arm, "seed": 0, "status": "complete", "provenance": "trained", "attempt": 1}
    log.write_trial(row | columns)


def cost(trial_s: float, train_s: float, gpu_s: float) -> dict[str, object]:
    return {"cost/trial_s": trial_s, "cost/train_s": train_s, "cost/gpu_s": gpu_s}


def test_flags_replace_what_the_sweep_declares_one_by_one():
    declared = Budget(hours=2.0, gpu_hours=10.0, price=Price(2.0, "USD"))
    assert choose_budget(declared, None, None, None, None) == declared
    assert choose_budget(declared, None, 5.0, "50 usd", None) == Budget(2.0, 5.0, Money(50.0, "USD"), Price(2.0, "USD"))
    assert choose_budget(None, None, None, None, None) == NO_LIMIT
    assert not NO_LIMIT.is_limited
    assert not Budget(price=Price(2.0, "USD")).is_limited


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((0.0, None, None, None), "a budget of 0 hours is none"),
        ((None, -1.0, None, None), "a budget of -1 GPU-hours is none"),
        ((None, float("nan"), None, None), "a budget of nan GPU-hours is none"),
        ((None, None, "50", None), "'50' is no amount of money; give it with a currency of three letters"),
        ((None, None, "50 USD", None), "a budget of 50 USD needs the price of a GPU-hour: --price '2.10 USD'"),
        ((None, None, "50 USD", "2 EUR"), "cannot be counted at 2 EUR per GPU-hour"),
        ((None, None, "50 USD", "0 USD"), "state a price above 0 in the same currency"),
        ((None, None, "50 USD", "cheap"), "'cheap' is no price"),
    ],
)
def test_a_budget_that_is_none_is_refused(flags, said):
    with pytest.raises(RequestError, match=said):
        choose_budget(None, *flags)


def test_what_is_spent_is_whole_trials_with_every_gpu_that_they_held(tmp_path):
    log = RunLog(tmp_path)
    write(log, "cpu", **cost(10, 8, 0))  # its slot
    write(log, "gpu", **cost(10, 8, 8))
    write(log, "two", **cost(10, 8, 16))
    write(log, "untrained", **cost(5, 0, 5))
    assert count_gpu_s([log]) == 10 + 10 + 20 + 5
    assert count_gpu_s([log, log]) == 90


def test_what_its_commands_did_besides_trials_is_spent_as_well(tmp_path):
    log = RunLog(tmp_path)
    write(log, "gpu", **cost(10, 8, 8))
    costs = SideCosts(log)
    costs.add("features", 30.0, gpus=2.0)
    costs.add("latency", 7.0, gpus=0.0)  # a process on a CPU: its slot
    costs.write()
    assert count_gpu_s([log]) == 10 + 60 + 7
    again = SideCosts(log)  # the next command
    again.add("features", 1.0, gpus=1.0)
    again.write()
    assert count_gpu_s([log]) == 10 + 61 + 7
    assert read_side_costs(log) == {"features": Held(gpu_s=61.0), "latency": Held(cpu_s=7.0)}
    for damaged in ('{"features": {"gpu_s": "many"}}', '{"gpu_s": 1.0}', '{"coffee": {"gpu_s": 1.0}}', "[]", "{"):
        (tmp_path / "side_costs.json").write_text(damaged)
        with pytest.raises(
            RequestError, match=r"does not hold gpu_s and cpu_s of features, sensitivity.*; restore it, or"
        ):
            count_gpu_s([log])


def test_an_account_is_written_before_its_command_ends(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(side_costs.time, "monotonic", lambda: now[0])
    costs = SideCosts(RunLog(tmp_path))
    for _ in range(11):
        now[0] += 1.0
        costs.add("features", 1.0, gpus=1.0)
    assert read_side_costs(RunLog(tmp_path)) == {"features": Held(gpu_s=10.0)}


def test_failures_and_earlier_attempts_are_paid_for(tmp_path):
    log = RunLog(tmp_path)
    write(log, "one", **cost(10, 8, 0))
    write(log, "other", **cost(20, 8, 0))
    write(log, "died", status="failed")  # no time was recorded: the mean of its arm
    write(log, "third", attempt=3, **cost(15, 8, 0))  # and two attempts before it
    assert count_gpu_s([log]) == pytest.approx(10 + 20 + 15 + 15 + 2 * 15)
    write(log, "unknown", arm="b", status="failed")  # the mean of all
    assert recorded_seconds(log.trials()).tolist().count(15.0) == 3


def test_what_an_attempt_went_on_from_is_paid_for_once(tmp_path):
    log = RunLog(tmp_path)
    write(log, "undisturbed", **cost(10, 8, 0))
    write(log, "resumed", attempt=2, **cost(14, 12, 0), **{"env/resumed_s": 4.0})  # a trial of its arm takes 12
    write(log, "at its end", arm="b", attempt=2, **cost(14, 12, 0), **{"env/resumed_s": 20.0})
    assert count_gpu_s([log]) == 10 + 14 + (12 - 4) + 14


def test_a_shared_gpu_is_paid_for_by_its_share(tmp_path):
    log = RunLog(tmp_path)
    write(log, "quarter", **cost(10, 8, 2), **{"env/gpu_share": 0.25})
    write(log, "alone", arm="b", **cost(10, 8, 8), **{"env/gpu_share": 1.0})
    write(log, "unpacked", arm="b", **cost(10, 8, 8))
    write(log, "died", status="failed", **{"env/gpu_share": 0.5})  # half a GPU for as long as its arm's trial took
    assert count_gpu_s([log]) == 2.5 + 10 + 10 + 5
    assert held_seconds(log.trials()).sum() == 2.5 + 10 + 10 + 5


def test_a_stopped_and_a_failed_trial_have_held_as_many_gpus_as_their_workers(tmp_path):
    log = RunLog(tmp_path)
    write(log, "complete", **cost(100, 100, 800))
    write(log, "stopped", status="stopped", **cost(100, 50, 400))
    on_eight = {"cost/train_s": 100.0, "env/workers": 8, "env/device": "cuda"}
    write(log, "of an earlier version", status="stopped", **on_eight)  # without cost/gpu_s
    write(log, "failed", status="failed")
    assert count_gpu_s([log]) == pytest.approx(4 * 800)
    write(log, "two workers on cpus", "b", status="stopped", **on_eight | {"env/workers": 2, "env/device": "cpu"})
    assert count_gpu_s([log]) == pytest.approx(4 * 800 + 100)


def test_a_trial_of_another_study_is_paid_for_there(tmp_path):
    log = RunLog(tmp_path)
    write(log, "own", **cost(100, 100, 100))
    write(log, "adopted", **cost(100, 100, 100), **{"env/adopted_from": "other"})
    assert count_gpu_s([log]) == 100


def test_published_numbers_cost_nothing_and_an_empty_log_neither(tmp_path):
    log = RunLog(tmp_path)
    assert count_gpu_s([log]) == 0
    write(log, "published", provenance="imported", **cost(10, 8, 8))
    assert count_gpu_s([log]) == 0
    write(log, "died", status="failed")
    assert count_gpu_s([log]) == 0


def test_a_process_that_died_at_first_has_no_time():
    frame = pd.DataFrame({"arm": ["a"], "cost/trial_s": [None], "cost/train_s": [None]}, dtype=object)
    assert recorded_seconds(frame).tolist() == [0.0]
