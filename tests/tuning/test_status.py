"""How a sweep stands, read from run logs written by hand."""

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.storage.holder import SINCE, Holder
from foresight.storage.lease import LEASE_S
from foresight.tuning.status import app, describe, read_status

NOW = 10_000.0


def record(
    log: RunLog,
    key: str,
    ended: float,
    status: str = "complete",
    error: str | None = None,
    arm: str = "a",
    adopted_from: str | None = None,
) -> None:
    row = {"key": key, "sweep": "small", "arm": arm, "seed": 0, "status": status, "provenance": "trained"}
    row |= {"env/adopted_from": adopted_from} if adopted_from else {}
    said = datetime.fromtimestamp(ended, UTC).isoformat(timespec="milliseconds")
    log.write_trial(row | {"error": error, "env/ended": said})


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    """Six planned trials, none of them run."""
    log = RunLog(tmp_path / "small")
    log.write_sweep({"study": "small", "scale": "tiny"})
    log.write_manifest([{"key": f"t{i}", "arm": "a", "factor": "", "level": "", "seed": i} for i in range(6)])
    return log


def test_counts_throughput_and_time_left_by_hand(log):
    for i, ended in enumerate((NOW - 40, NOW - 20, NOW - 10)):
        record(log, f"t{i}", ended)
    record(log, "not planned", NOW)
    status = read_status(log, NOW)
    assert (status.planned, status.complete, status.failed, status.left) == (6, 3, 0, 3)
    assert status.trials_per_hour == pytest.approx(2 / 30 * 3600)
    assert status.left_s == pytest.approx(3 * 15)
    lines = describe(status)
    assert lines[0] == "small, tiny scale: 3 of 6 trials complete, 0 failed, 3 left"
    assert lines[2] == "throughput: 240 trials an hour over the last 2; at that rate 0:45 left"
    assert not any(line.startswith("quiet") for line in lines)


def test_a_sweep_in_which_nothing_ends_any_more_says_so(log):
    for i, ended in enumerate((NOW - 1000, NOW - 990, NOW - 980)):
        record(log, f"t{i}", ended)
    assert "quiet: no trial has ended for 16:20, where one usually does every 0:10" in describe(read_status(log, NOW))


@pytest.mark.parametrize(("began", "quiet_s"), [(NOW - 400, 280), (NOW - 20, 0), (NOW - 5000, 980)])
def test_a_driver_that_has_just_gone_on_is_not_called_quiet_for_the_pause_before(log, began, quiet_s):
    for i, ended in enumerate((NOW - 1000, NOW - 990, NOW - 980)):
        record(log, f"t{i}", ended)
    holder = replace(Holder.this_process(LEASE_S), since=datetime.fromtimestamp(began, UTC).strftime(SINCE))
    for kind in ("json", "beat"):
        log.files.shared.write(f".driver/token.{kind}", holder.to_json())
    assert read_status(log, NOW).quiet_s == quiet_s


def test_a_pause_between_two_commands_is_in_no_rate(log):
    ends = (NOW - 40_000, NOW - 39_980, NOW - 30, NOW - 10)
    for i, ended in enumerate(ends):
        record(log, f"t{i}", ended)
    assert read_status(log, NOW).trials_per_hour == pytest.approx(3 / 39_990 * 3600)  # no trial says how long it took
    row = {"key": "t4", "sweep": "small", "arm": "a", "seed": 0, "status": "complete", "provenance": "trained"}
    log.write_trial(row | {"cost/trial_s": 25.0})
    status = read_status(log, NOW)
    assert status.trials_per_hour == pytest.approx(2 / 40 * 3600)
    assert status.left_s == pytest.approx(1 * 20)


@pytest.fixture
def searched(log):
    """A search of at most 10 proposals at two seeds: p001 was stopped, p002 is half done, and number 3 was refused."""

    def write(**changes) -> RunLog:
        space = {"design": "search", "search": {"proposals": 10, "seeds": 2} | changes}
        log.write_sweep({"study": "small", "scale": "tiny", "space": space})
        (log.root / "manifest.parquet").unlink()
        trials = (
            ("t0", "baseline"),
            ("t1", "baseline"),
            ("t2", "p001"),
            ("t3", "p002"),
            ("t4", "p004"),
            ("t5", "p004"),
        )
        log.write_manifest([{"key": key, "arm": arm, "factor": "", "level": "", "seed": 0} for key, arm in trials])
        for i, (key, arm) in enumerate(trials):
            record(log, key, NOW - 100 + 20 * i, "stopped" if arm == "p001" else "complete", arm=arm)
        return log

    return write


def test_a_search_is_counted_against_what_it_may_come_to(searched):
    lines = describe(read_status(searched(), NOW))
    # p002's other seed, and proposals 5 to 9 at two seeds each
    assert lines[0] == "small, tiny scale: 5 of at most 17 trials complete, 0 failed, 1 stopped early, at most 11 left"
    assert lines[2] == "throughput: 180 trials an hour over the last 5; at that rate at most 3:40 left"


def test_a_search_that_has_ended_has_nothing_left_and_is_not_called_quiet(searched):
    log = searched(came_to={"made": 10, "outside": []})
    record(log, "t6", NOW, arm="p002")
    log.write_manifest([{"key": "t6", "arm": "p002", "factor": "", "level": "", "seed": 1}])
    status = read_status(log, NOW + 1e6)
    assert (status.left, status.planned, status.at_most) == (0, 7, False)
    lines = describe(status)
    assert lines[0] == "small, tiny scale: 6 of 7 trials complete, 0 failed, 1 stopped early, 0 left"
    assert not any("quiet" in line or "at that rate" in line for line in lines)


def test_a_proposal_outside_a_narrowed_space_has_nothing_left(searched):
    assert read_status(searched(came_to={"made": 10, "outside": [2]}), NOW).left == 0


def test_a_begun_trial_of_a_decided_proposal_is_left(searched):
    log = searched(proposals=5)
    log.write_manifest([{"key": "t6", "arm": "p001", "factor": "", "level": "", "seed": 1}])
    assert read_status(log, NOW).left == 1 + 1


def test_a_trial_that_another_study_has_run_is_in_no_rate(log):
    for i, ended in enumerate((NOW - 40, NOW - 20)):
        record(log, f"t{i}", ended)
    record(log, "t2", NOW - 39, adopted_from="another")
    status = read_status(log, NOW)
    assert status.trials_per_hour == pytest.approx(180)
    assert (status.complete, status.untimed) == (3, 0)


def test_a_copy_tells_the_times_of_the_trials_and_not_of_its_files(log, tmp_path):
    for i, ended in enumerate((NOW - 40, NOW - 20, NOW - 10)):
        record(log, f"t{i}", ended)
    shutil.copytree(log.root, tmp_path / "copy", copy_function=shutil.copyfile)
    told, copied = (read_status(RunLog(root), NOW) for root in (log.root, tmp_path / "copy"))
    assert copied.trials_per_hour == told.trials_per_hour == pytest.approx(240)
    assert copied.quiet_s == pytest.approx(10)


def test_trials_that_do_not_say_when_they_ended_have_no_rate(log):
    row = {"sweep": "small", "arm": "a", "seed": 0, "status": "complete", "provenance": "imported"}
    for i in range(3):
        log.write_trial(row | {"key": f"t{i}"})
    status = read_status(log, NOW)
    assert (status.trials_per_hour, status.left_s, status.quiet_s, status.untimed) == (None, None, None, 3)
    assert "times: 3 of the recorded trials do not say when they ended, and are in no rate" in describe(status)


def test_failures_are_told_by_their_cause(log):
    for i in range(5):
        record(log, f"t{i}", NOW - i, "failed", "out of memory\nTraceback ..." if i < 4 else "")
    lines = describe(read_status(log, NOW))
    assert lines[-2:] == [
        "4 failed: out of memory (t0, t1, t2 and 1 more)",
        "1 failed: no message was recorded (t4)",
    ]


def test_before_the_first_trial_there_is_no_rate(log):
    status = read_status(log, NOW)
    assert (status.left, status.trials_per_hour, status.left_s) == (6, None, None)
    assert describe(status) == [
        "small, tiny scale: 0 of 6 trials complete, 0 failed, 6 left", "driver: none is running",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "running"),
        ({"pid": 2**22 + 1}, "ended"),  # above the largest number a process can have
        ({"host": "elsewhere", "machine": "elsewhere"}, "its last sign of life, of one every 10 s, is 1:05 old"),
    ],
)
def test_the_driver_is_named_and_whether_it_runs(log, changes, expected):
    holder = replace(Holder.this_process(LEASE_S), **changes)
    log.write(".driver/aa.json", holder.to_json())
    log.write(".driver/aa.beat", b"")
    os.utime(log.root / ".driver" / "aa.beat", (NOW - 65, NOW - 65))
    driver = read_status(log, NOW).driver
    assert driver.startswith(f"pid {holder.pid} on {holder.host}, since {holder.since}")
    assert driver.endswith(expected)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "holds no study"),
        ("[1]", "holds no study"),
        ("{}", "holds no study"),
        ('{"space": [1]}', "its 'space' is no object"),
        ('{"space": {"search": {"proposals": "many", "seeds": 1}}}', "space.search.proposals is 'many'"),
        ('{"space": {"search": 3}}', "space.search is no object"),
    ],
)
def test_a_damaged_declaration_is_said_in_a_sentence(log, content, said):
    (log.root / "sweep.json").write_text(content)
    refused = CliRunner().invoke(app, [str(log.root)])
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_damaged_plan_is_said_in_a_sentence(log):
    log.read_manifest().drop(columns="key").to_parquet(log.root / "manifest.parquet")
    refused = CliRunner().invoke(app, [str(log.root)])
    assert (refused.exit_code, "it has no column key" in refused.stderr) == (2, True)


def test_a_time_that_is_none_is_in_no_rate(log):
    record(log, "t0", NOW - 5)
    row = {"key": "t1", "sweep": "small", "arm": "a", "seed": 0, "status": "complete", "provenance": "trained"}
    log.write_trial(row | {"env/ended": "yesterday"})
    assert read_status(log, NOW).untimed == 1


def test_the_command_prints_lines_or_json_and_refuses_what_is_no_study(log, tmp_path):
    runner = CliRunner()
    assert "0 of 6 trials complete" in runner.invoke(app, [str(log.root)]).stdout
    assert json.loads(runner.invoke(app, [str(log.root), "--json"]).stdout)["left"] == 6
    refused = runner.invoke(app, [str(tmp_path)])
    assert refused.exit_code == 2
    assert "holds no study" in refused.stderr
    with pytest.raises(RequestError, match=r"no sweep\.json"):
        read_status(RunLog(tmp_path / "nothing"), NOW)
