"""--amend: the one way to change a registered claim, and what every other way ends in."""

from dataclasses import replace
from pathlib import Path

import pytest
import small_study
from typer.testing import CliRunner, Result

from foresight.claim import Criterion
from foresight.runlog import RunLog
from foresight.tuning.launch import build_app
from foresight.tuning.record import Planned
from foresight.tuning.session import Session
from foresight.tuning.sweep import Placement, Sweep

SWEEP = small_study.SWEEP
CHANGED = replace(SWEEP, claim=replace(SWEEP.claim, criteria=(Criterion("mask_iou", 0.7, 0.6, 0.5),)))


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    """A run log with the study's declaration and one complete trial."""
    log = RunLog(tmp_path / "runs" / "small_study")
    session(SWEEP, log).write_declaration()
    planned = Planned(SWEEP.space("tiny").trials(1)[0], "small_study", attempt=1, claim_hash=SWEEP.claim.hash)
    log.write_trial(planned.identity() | {"status": "complete"})
    return log


def session(sweep: Sweep, log: RunLog) -> Session:
    space = sweep.space("tiny")
    return Session(sweep, space, space.trials(2), log, Placement(log.root.parent, slots=1), console=None)


def command(sweep: Sweep, log: RunLog, *flags: str) -> Result:
    return CliRunner().invoke(build_app(sweep), ["--scale", "tiny", "--runs", str(log.root.parent), *flags])


def test_a_changed_claim_is_refused_until_it_is_amended(log, monkeypatch):
    monkeypatch.setattr("foresight.tuning.begin.cluster_gpus", lambda: 0.0)
    refused = command(CHANGED, log)
    assert refused.exit_code == 2
    assert "or record the change and why it was made with --amend REASON" in refused.stderr
    amended = command(CHANGED, log, "--amend", "the criterion was forgotten")
    assert amended.exit_code == 0
    assert f"is now {CHANGED.claim.hash}, amended after 1 complete trials" in amended.stdout
    stored = log.read_sweep()
    assert stored["claim_hash"] == CHANGED.claim.hash
    assert [(a["reason"], a["n_complete"]) for a in stored["amendments"]] == [("the criterion was forgotten", 1)]
    assert "belongs to another claim" in command(SWEEP, log).stderr  # the old one is not the study's any more


def test_what_is_declared_later_keeps_the_amendment_and_says_what_varies_now(log):
    command(CHANGED, log, "--amend", "why")
    fewer = replace(CHANGED, space=lambda scale: replace(small_study.space(scale), factors=small_study.FACTORS[:1]))
    for _ in range(2):
        session(fewer, log).write_declaration()
    stored = log.read_sweep()
    assert len(stored["amendments"]) == 1
    (change,) = stored["space_changes"]
    assert (change["n_complete"], change["added"], change["removed"]) == (1, [], ["queries 16", "queries 32"])


def test_every_trial_holds_the_hash_of_the_claim_it_ran_for(log):
    assert list(log.trials()["env/claim_hash"]) == [SWEEP.claim.hash]
    assert session(CHANGED, log).planned(CHANGED.space("tiny").trials(1))[0].claim_hash == CHANGED.claim.hash


@pytest.mark.parametrize(
    ("sweep", "flags", "said"),
    [
        (SWEEP, ("--amend", "why"), "nothing to amend"),
        (CHANGED, ("--amend", ""), "needs its reason"),
        (CHANGED, ("--amend", "why", "--plan"), "runs and shows nothing else"),
        (
            replace(CHANGED, claim=replace(CHANGED.claim, primary="mask_ious")),
            ("--amend", "why"),
            "did you mean 'mask_iou'",
        ),
        (
            replace(CHANGED, claim=replace(CHANGED.claim, judged=("no=arm",))),
            ("--amend", "why"),
            "is no arm of the study",
        ),
    ],
)
def test_a_wrong_amendment_changes_nothing(log, sweep, flags, said):
    before = log.read_sweep()
    result = command(sweep, log, *flags)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert log.read_sweep() == before


def test_a_study_that_never_ran_has_no_claim_to_amend(tmp_path):
    log = RunLog(tmp_path / "runs" / "small_study")
    assert "holds no claim yet" in command(CHANGED, log, "--amend", "why").stderr
    assert not log.root.exists()
