"""Studies that stop by themselves, with trials that only pretend to run: which blocks, what is said, how it goes on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import looked_study
import pytest
from driver import Study
from pretended import Pretended
from typer.testing import CliRunner, Result

from foresight.price import Money, Price
from foresight.runlog import RunLog
from foresight.side_costs import SideCosts
from foresight.space import Trial
from foresight.tuning import within_budget
from foresight.tuning.budget import Budget
from foresight.tuning.estimate import estimate_cost
from foresight.tuning.launch import build_app
from foresight.tuning.session import Session
from foresight.tuning.study import open_study
from foresight.tuning.sweep import Placement
from foresight.tuning.within_budget import BudgetMeter, measure_sizes

SECONDS = 36.0  # of a trial: 0.01 slot-hours; a block has 3
SWEEP = replace(looked_study.SWEEP, name="small_study", claim=looked_study.small_study.CLAIM, seeds=5)


@pytest.fixture
def trials(pretended: Pretended, monkeypatch: pytest.MonkeyPatch) -> Pretended:
    write = Pretended._write

    def write_slowly(made: Pretended, log: RunLog, trial: Trial) -> None:
        write(made, log, trial)
        row = log.read_trial(trial.key) | {"sweep": "small_study", "cost/trial_s": SECONDS, "cost/gpu_s": 0.0}
        log.write_trial({name: value for name, value in row.items() if value is not None})

    monkeypatch.setattr(Pretended, "_write", write_slowly)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    return pretended


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Result]:
    def run(*flags: str, budget: Budget | None = None) -> Result:
        arguments = ["--scale", "tiny", "--runs", str(tmp_path / "runs"), *flags]
        return CliRunner().invoke(build_app(replace(SWEEP, budget=budget)), arguments)

    return run


def sizes(trials: Pretended) -> list[int]:
    return [len(batch) for batch in trials.batches]


def test_whole_blocks_are_run_while_the_next_one_fits(trials, command):
    result = command("--budget-gpu-hours", "0.07")
    assert sizes(trials) == [3, 3]  # 0.03 each, and a third block would end at 0.09
    assert result.exit_code == 1
    assert "6 of 6 trials complete" in result.output
    said = (
        "the budget ends before the next block: 0.06 of 0.07 slot-hours (there is no GPU: one trial at a time) are spent and "
        "the next block should take 0.03; the same command with a larger --budget-gpu-hours goes on here; 9 of 15 trials in 3 "
        "blocks are left"
    )
    assert said in result.output


def test_no_other_driver_gets_in_between_two_blocks_and_the_metrics_know_what_is_to_come(
    trials, command, monkeypatch, tmp_path
):
    claims, later = [], []
    folder = tmp_path / "runs" / "small_study" / ".driver"
    monkeypatch.setattr(
        BudgetMeter, "add", lambda meter, *given: claims.append(sorted(p.name for p in folder.glob("*.json")))
    )
    trials.wall_s = lambda n: claims.append(sorted(p.name for p in folder.glob("*.json")))
    run = within_budget.run_blocks

    def keep_meter(session, wanted, retry_failed, meter):
        execute = Session.execute
        monkeypatch.setattr(Session, "execute", lambda *given: (later.append(meter.so_far.n_later), execute(*given)))
        return run(session, wanted, retry_failed, meter)

    monkeypatch.setattr(within_budget, "run_blocks", keep_meter)
    assert command("--budget-gpu-hours", "9").exit_code == 0
    assert len(claims) == 10
    assert len(claims[0]) == 1
    assert all(claim == claims[0] for claim in claims)
    assert later == [12, 9, 6, 3, 0]
    assert list(folder.glob("*.json")) == []


def test_a_command_that_is_given_again_does_not_begin_to_count_again(trials, command):
    command("--budget-gpu-hours", "0.07")
    again = command("--budget-gpu-hours", "0.07")
    assert sizes(trials) == [3, 3]
    assert again.exit_code == 1
    assert command("--budget-gpu-hours", "0.09").exit_code == 1
    assert sizes(trials) == [3, 3, 3]
    assert command("--budget-gpu-hours", "0.151").exit_code == 0
    assert sizes(trials) == [3, 3, 3, 3, 3]
    assert command("--budget-gpu-hours", "0.01").exit_code == 0  # nothing is left to begin


def test_money_is_hours_at_the_price(trials, command):
    result = command("--budget-money", "7 EUR", "--price", "100 EUR")
    assert sizes(trials) == [3, 3]
    assert "6.00 of 7.00 EUR are spent, at 100 EUR for one of the slot-hours" in result.output
    assert "the next block should take 3.00" in result.output


def test_the_budget_of_the_declaration_holds_unless_a_flag_says_otherwise(trials, command):
    declared = Budget(money=Money(7.0, "EUR"), price=Price(100.0, "EUR"))
    assert command(budget=declared).exit_code == 1
    assert sizes(trials) == [3, 3]
    assert command("--budget-money", "10 EUR", budget=declared).exit_code == 1
    assert sizes(trials) == [3, 3, 3]


def test_time_is_of_this_command_by_the_pace_of_its_blocks(trials, command, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    # Twice as long as the trials themselves say: what lies between them counts.
    trials.wall_s = lambda n: now.__setitem__(0, now[0] + 2 * SECONDS * n)
    result = command("--budget-hours", "0.17")
    assert sizes(trials) == [3, 3]
    assert "0:07:12" not in result.output
    assert "7:12 of 10:12 are over and the next block should take 3:36; the same command goes on here" in result.output
    assert command("--budget-hours", "0.17").exit_code == 1  # its own time
    assert sizes(trials) == [3, 3, 3, 3]


def test_what_is_done_once_is_no_later_block_s(trials, command, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    trials.wall_s = lambda n: now.__setitem__(0, now[0] + SECONDS * n)
    trials.once_s = lambda call: now.__setitem__(0, now[0] + 3600.0 * (call == 1))  # features, of the first block
    command("--budget-hours", "1.095")  # the features, and three blocks of 108 s
    assert sizes(trials) == [3, 3, 3]


def test_before_anything_is_measured_only_what_is_far_too_much_is_not_begun(trials, command):
    # Assumed speeds are known to a factor: 3 trials are 0.3 s of an assumed core, 0.06 s at least.
    far_too_much = command("--budget-gpu-hours", "0.00001")
    assert (far_too_much.exit_code, trials.batches) == (1, [])
    assert "0 of 1e-05 slot-hours" in far_too_much.output
    assert "15 of 15 trials in 5 blocks are left" in far_too_much.output
    command("--budget-gpu-hours", "0.00005")
    assert sizes(trials) == [3]


def test_a_block_that_is_partly_done_needs_the_rest(trials, command):
    command("--limit", "4")
    assert sizes(trials) == [4]
    command("--budget-gpu-hours", "0.061")
    assert sizes(trials) == [4, 2]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--one", "x", "--budget-hours", "1"), "--one runs one trial, whatever it takes"),
        (("--price", "2 EUR"), "--price belongs to --plan or --budget-money"),
        (("--probe",), "--probe belongs to --plan"),
        (("--plan", "--one", "x"), "--plan shows the plan, and --one runs one trial of it"),
        (("--plan", "--runs", "/etc/passwd"), "/etc/passwd"),
        (("--budget-money", "50 USD"), "needs the price of a GPU-hour"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(trials, command, flags, said):
    result = command(*flags)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert trials.batches == []


def test_the_plan_says_how_many_blocks_fit(trials, command):
    command("--limit", "3")
    result = command("--plan", "--budget-gpu-hours", "0.1", "--budget-hours", "9")
    said = "budget: 9 hours of a command, 0.1 slot-hours, of which the run log has spent 0.03 slot-hours; "
    assert said + "2 of the 4 blocks that are left should fit" in result.output


def test_what_features_take_is_needed_once_and_spent(trials, command, tmp_path, monkeypatch):
    command("--limit", "3")
    plan = ("--plan", "--budget-gpu-hours", "0.101")
    assert "has spent 0.03 slot-hours; 2 of the 4 blocks that are left should fit" in command(*plan).output
    monkeypatch.setattr("foresight.tuning.estimate.ASSUMED_FACTOR", 1.0)  # the low end of what is assumed is all of it
    monkeypatch.setattr("foresight.tuning.estimate.ASSUMED_EXTRACTION_FLOPS", 1.0)
    monkeypatch.setattr("foresight.tuning.estimate.missing_flops", lambda configs, store: 36.0)  # 0.01 hours, once
    assert "2 of the 4 blocks" in command(*plan).output
    assert "1 of the 4 blocks" in command("--plan", "--budget-gpu-hours", "0.099").output
    costs = SideCosts(RunLog(tmp_path / "runs" / "small_study"))
    costs.add("features", 36.0, gpus=0.0)
    costs.write()
    assert "has spent 0.04 slot-hours; 1 of the 4 blocks" in command(*plan).output


def test_a_damaged_account_is_refused_before_anything_starts(trials, command, tmp_path):
    command("--limit", "3")
    (tmp_path / "runs" / "small_study" / "side_costs.json").write_text('{"latency": {"gpu_s": -1}}')
    for flags in (("--limit", "6"), ("--plan", "--budget-hours", "1")):
        refused = command(*flags)
        assert refused.exit_code == 2
        assert "side_costs.json does not hold gpu_s and cpu_s" in refused.stderr
    assert sizes(trials) == [3]


def test_the_plan_counts_failed_trials_where_they_are_to_run_again(trials, command):
    trials.fails = {("baseline", 0)}
    command("--limit", "3")
    assert "for 12 trials" in command("--plan").output
    assert "for 13 trials" in command("--plan", "--retry-failed").output


def test_what_needed_studies_took_counts_as_well(trials, command, tmp_path):
    command("--limit", "3")
    placement = Placement(runs=tmp_path / "runs", slots=1, cache=tmp_path / "cache")
    needing = replace(looked_study.small_study.SWEEP, name="needing", needs=(SWEEP,))
    study = open_study(needing, "tiny", None, 2, placement)
    assert [log.root.name for log in study.logs()] == ["small_study", "needing"]
    meter = BudgetMeter(Budget(gpu_hours=0.03), study.logs())
    assert "0.03 of 0.03 slot-hours" in str(meter.shortage(study.trials, study.log, placement))
    assert BudgetMeter(Budget(gpu_hours=0.03), [study.log]).shortage(study.trials, study.log, placement) is not None
    estimate = estimate_cost(study.trials, measure_sizes(study.trials, placement.cache), study.log, placement)
    assert estimate.is_measured  # by the other study of the folder


@pytest.mark.ray
@pytest.mark.timeout(1100)
def test_through_ray_it_stops_after_a_block_and_goes_on_with_more(tmp_path, feature_cache):
    study = Study("small_study.py", tmp_path / "here", feature_cache)
    first = study.start("--budget-gpu-hours", "0.0001").wait(timeout_s=500)
    assert (first.code, first.err) == (1, ""), first
    assert "of 0.0001 slot-hours (there is no GPU: one trial at a time) are spent" in first.out
    assert "3 of 6 trials in 1 block are left" in first.out
    assert sorted(study.log.trials()["seed"]) == [0, 0, 0]
    rest = study.start("--budget-gpu-hours", "100").wait(timeout_s=500)
    assert (rest.code, rest.err) == (0, ""), rest
    assert sorted(study.log.trials()["seed"]) == [0, 0, 0, 1, 1, 1]
