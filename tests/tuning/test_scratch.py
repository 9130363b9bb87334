"""What is left of a trial's scratch when the trial has ended."""

import pytest

from foresight.errors import RunEndedError
from foresight.runlog import RunLog
from foresight.storage.lease import end_claim, take
from foresight.tuning.scratch import CHECKPOINT, FOLDER, TrialScratch, forget_finished


@pytest.fixture
def scratch(tmp_path) -> TrialScratch:
    return TrialScratch(RunLog(tmp_path / "runs" / "study"), "some-s0-1234")


@pytest.mark.parametrize("end", ["remove_checkpoint", "remove"])
def test_nothing_is_left_also_where_a_process_died_while_it_wrote(scratch, end):
    folder, other = scratch.files.root / FOLDER / scratch.key, scratch.files.root / FOLDER / "other-s0-5678"
    half = f".{CHECKPOINT}.9e5b751ae152.tmp"
    for one in (folder, other):
        scratch.files.write(f"{FOLDER}/{one.name}/{CHECKPOINT}", b"whole")
        (one / half).write_bytes(b"ha")
    getattr(scratch, end)()
    assert not folder.exists()
    assert {path.name for path in other.iterdir()} == {CHECKPOINT, half}  # it may be running


def test_the_trials_of_a_driver_that_was_replaced_tell_those_of_the_next_one_nothing(tmp_path):
    log = RunLog(tmp_path / "runs" / "study")
    log.claim = take(log.files.shared)
    scratch = TrialScratch(log, "some-s0-1234")
    scratch.allow(1)
    end_claim(log.files.shared, log.claim.token)
    for told in (scratch.tell_to_end, lambda: scratch.allow(2)):
        with pytest.raises(RunEndedError, match="the claim on"):
            told()
    assert not scratch.is_told_to_end()
    assert scratch.allowed_epoch() == 1


def test_a_trial_that_never_ran_leaves_nothing_to_remove(scratch):
    scratch.remove()
    assert not (scratch.files.root / FOLDER / scratch.key).exists()


def test_the_next_command_forgets_what_a_trial_with_a_row_has_left(scratch):
    log = RunLog(scratch.files.root)
    for key, status in (("ended-s0", "complete"), ("stopped-s0", "stopped"), ("failed-s0", "failed")):
        row = {"key": key, "arm": "a", "seed": 0, "status": status, "attempt": 1, "sweep": "study"}
        log.write_trial(row | {"provenance": "trained"})
    for key in ("ended-s0", "stopped-s0", "failed-s0", "running-s0"):
        TrialScratch(log, key).wait_for("2 workers")
        TrialScratch(log, key).write_rows([{"epoch": 1}])
        scratch.files.write(f"{FOLDER}/{key}/{CHECKPOINT}", b"where it stands")
    forget_finished(log)
    left = {path.relative_to(log.root / FOLDER).as_posix() for path in (log.root / FOLDER).rglob("*") if path.is_file()}
    of_each = {"{}/checkpoint.safetensors", "{}/rows.json"}  # nobody waits for workers before the first is started
    assert left == {name.format(key) for key in ("failed-s0", "running-s0") for name in of_each}
