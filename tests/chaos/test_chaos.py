"""The chaos suite in short: five kinds of faults, one each, on a laptop; and that it would notice what it looks for."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import chaos_study
import pandas as pd
import pytest
from chaos_draw import draw_rounds, setting_of
from chaos_faults import FAULTS
from chaos_invariants import Ledger, Truth, faults_at_the_end

from foresight.runlog import RunLog, config_columns

KINDS = ("driver", "trial process", "power cut, torn writes", "two drivers", "full disk")
SEED = "32"  # of which these make one round
TRIALS = chaos_study.SWEEP.space("tiny").trials(2)


@pytest.mark.ray
@pytest.mark.timeout(3600)
def test_nothing_is_lost_by_one_fault_of_each_kind():
    command = [sys.executable, str(Path(__file__).with_name("chaos.py")), "--seed", SEED, "--chain", "5"]
    kinds = [word for kind in KINDS for word in ("--kind", kind)]
    ended = subprocess.run([*command, "--faults", str(len(KINDS)), *kinds], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 after which something did not hold" in ended.stdout
    struck = int(re.search(r"(\d+) faults struck", ended.stdout)[1])
    impossible = ended.stdout.count("not possible here: no disk may be mounted")
    assert struck + impossible >= len(KINDS) - 1, ended.stdout  # on a slow machine a moment may have passed


# In a process of its own, as it ends whatever the process that calls it has started.
CUT = """
import os, sys, time
from pathlib import Path
from chaos_arena import Command
from chaos_room import end_all
command = Command(["sleep", "60"], dict(os.environ), Path(sys.argv[1]) / "said.txt")
end_all()
print(command.code)
"""


def test_a_power_cut_is_told_as_the_end_of_its_command(tmp_path):
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    ended = subprocess.run(
        [sys.executable, "-c", CUT, str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert ended.stdout.strip() == f"{-signal.SIGKILL}", ended.stderr


# --- what it looks for, broken on purpose --------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    """A study of four trials that ended well."""
    log = RunLog(tmp_path / "chaos_study")
    claim = chaos_study.CLAIM
    log.write_sweep(
        {"study": "chaos_study", "claim": claim.to_json(), "claim_hash": claim.hash, "space": {"design": "factorial"}}
    )
    log.write_manifest([planned(trial) for trial in TRIALS])
    for trial in TRIALS:
        write(log, trial)
        log.write_latency(trial.config.arm_key, {"latency_ms": 1.0, "arm": trial.arm.name})
    return log


def planned(trial) -> dict:
    arm = trial.arm
    return {
        "key": trial.key, "arm": arm.name, "factor": arm.factor, "level": arm.level, "seed": trial.seed,
        "arm_key": trial.config.arm_key,
    }  # fmt: skip


def write(log: RunLog, trial, score: float = 0.5, **columns) -> None:
    row = planned(trial) | {
        "sweep": "chaos_study",
        "status": "complete",
        "provenance": "imported",
        "test/mask_iou": score,
    }
    del row["arm_key"]
    log.write_trial(
        row | config_columns(trial.config.flat()) | columns,
        config=trial.config.model_dump(mode="json"),
        epochs=[{"epoch": 1, "wall_s": columns.get("cost/train_s", 0.0), "val/loss": score}],
        samples=pd.DataFrame({"sample_hash": list("ab"), "split": "test", "mask_iou": score}),
    )


def test_a_study_that_ended_well_has_no_fault(log, tmp_path):
    assert faults_at_the_end(log, log) == []
    truth = Truth()
    assert truth.compare(log, tmp_path) == truth.compare(log, tmp_path) == []


def test_a_finished_trial_that_is_written_again_is_noticed(log):
    ledger = Ledger(log)
    ledger.look_at_files()
    assert ledger.broken == []
    write(log, TRIALS[0])
    ledger.look()
    assert ledger.broken == [f"{TRIALS[0].key}: was complete, and its row was rewritten"]


def test_a_finished_trial_that_goes_is_noticed(log):
    ledger = Ledger(log)
    ledger.look()
    shutil.rmtree(log.trials_dir / TRIALS[1].key)
    ledger.look()
    assert ledger.broken == [f"{TRIALS[1].key}: was complete, and its row was removed"]


def test_a_picture_beside_a_finished_row_that_is_written_again_is_noticed(log):
    ledger = Ledger(log)
    ledger.look()
    (log.trials_dir / TRIALS[1].key / "examples.png").write_bytes(b"new")
    ledger.look_at_files()
    assert ledger.broken == [f"{TRIALS[1].key}: was complete, and its files were written again"]


def test_a_failed_trial_may_run_again_and_counts_its_attempts(log):
    write(log, TRIALS[0], status="failed")
    ledger = Ledger(log)
    ledger.look()
    write(log, TRIALS[0], attempt=2)
    ledger.look()
    assert ledger.broken == []
    write(log, TRIALS[2], status="failed")  # a complete one must not fail afterwards
    ledger.look()
    assert len(ledger.broken) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [({"score": 0.5 + 1e-12}, "test/mask_iou"), ({"cost/params_total": 3}, "cost/params_total")],
    ids=["last digit", "size"],
)
def test_another_number_is_noticed(log, tmp_path, change, said):
    truth = Truth()
    truth.compare(log, tmp_path)
    write(log, TRIALS[0], **change)
    (found,) = truth.compare(log, tmp_path)
    assert found.startswith(f"{TRIALS[0].key}: ") and said in found


def test_another_time_or_machine_is_no_difference(log, tmp_path):
    truth = Truth()
    truth.compare(log, tmp_path)
    write(log, TRIALS[0], attempt=2, **{"env/pid": 7, "cost/train_s": 9.0})
    assert truth.compare(log, tmp_path) == []


def test_other_features_are_noticed(log, tmp_path):
    entry, truth = tmp_path / "cache" / "vlm-1" / "meta.json", Truth()
    entry.parent.mkdir(parents=True)
    for digest in ("a", "b"):
        entry.write_text(json.dumps({"sha256": {"train": digest}}))
        found = truth.compare(log, tmp_path / "cache")
    assert found == ["the cached vlm-1 differs from that of the undisturbed run"]


def test_what_is_missing_at_the_end_is_noticed(log, tmp_path):
    whole = RunLog(tmp_path / "whole")
    shutil.copytree(log.root, whole.root)
    shutil.rmtree(log.trials_dir / TRIALS[0].key)
    assert f"{TRIALS[0].key}: is planned and has no record" in faults_at_the_end(log, whole)
    write(log, TRIALS[0], status="failed")
    assert f"{TRIALS[0].key} ended as failed" in faults_at_the_end(log, whole)
    write(log, TRIALS[0])
    next((log.root / "latency").iterdir()).unlink()
    assert "1 latencies are measured of 2 arms" in faults_at_the_end(log, whole)
    log.write_manifest([planned(trial) | {"key": f"{trial.key}-2", "seed": 9} for trial in TRIALS[:1]])
    assert "other trials are planned than in the undisturbed run" in faults_at_the_end(log, whole)


def test_rounds_hold_each_kind_as_often_and_one_setting_each():
    rounds = draw_rounds(list(FAULTS), 3 * len(FAULTS), 4, seed=1)
    drawn = [outcome.fault.name for outcomes in rounds for outcome in outcomes]
    assert {drawn.count(fault.name) for fault in FAULTS} == {3}
    for outcomes in rounds:
        assert len(outcomes) <= 4
        assert len({setting_of(outcome.fault) for outcome in outcomes}) == 1
        assert [outcome.moment.place for outcome in outcomes] == sorted(outcome.moment.place for outcome in outcomes)
    assert rounds == draw_rounds(list(FAULTS), 3 * len(FAULTS), 4, seed=1)
    assert rounds != draw_rounds(list(FAULTS), 3 * len(FAULTS), 4, seed=2)
