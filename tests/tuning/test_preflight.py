import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import small_study

from foresight.errors import RequestError, RunEndedError
from foresight.runlog import RunLog
from foresight.storage.lease import read_claims
from foresight.tuning.preflight import (
    check_decoders,
    check_disk,
    check_measurable,
    check_ownership,
    check_readable,
    check_same_arms,
    only_driver,
    pending_trials,
)
from search_spaces import c2_ltx

REPOSITORY = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from foresight.runlog import RunLog
from foresight.storage.lease import read_claims
from foresight.tuning.preflight import only_driver
with only_driver(RunLog(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "runs" / "small_study")


@pytest.fixture
def other_driver(log: RunLog):
    """Another process that writes the same run directory."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, log.root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    yield holder
    holder.kill()
    holder.wait()


def test_a_second_driver_is_refused_naming_host_and_process(log, other_driver):
    with pytest.raises(RequestError) as caught, only_driver(log):
        pytest.fail("two drivers at once")
    assert f"host {socket.gethostname()}, pid {other_driver.pid}, since 2" in str(caught.value)


def test_a_second_driver_ends_with_code_2_and_one_sentence(log, other_driver):
    script = REPOSITORY / "tests" / "tuning" / "small_study.py"
    shown = subprocess.run(
        [sys.executable, script, "--scale", "tiny", "--runs", log.root.parent],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 2
    assert shown.stderr.startswith("error: ")
    assert f"pid {other_driver.pid}" in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_another_run_directory_is_free(log, other_driver, tmp_path):
    with only_driver(RunLog(tmp_path / "runs" / "other_study")):
        assert other_driver.poll() is None


def test_a_driver_that_was_killed_holds_nothing(log, other_driver):
    other_driver.kill()
    other_driver.wait()
    with only_driver(log):
        assert [claim.holder.pid for claim in read_claims(log.files).values()] == [os.getpid()]


def test_a_driver_that_failed_lets_go(log):
    with pytest.raises(ZeroDivisionError), only_driver(log):
        raise ZeroDivisionError
    with only_driver(log):
        pass


def test_a_driver_that_was_taken_over_writes_no_more(log):
    with pytest.raises(RunEndedError, match="has stopped, and every finished trial is kept"), only_driver(log):
        log.write_sweep({"study": "small_study"})
        for claim in (log.root / ".driver").iterdir():
            claim.unlink()
        log.write_sweep({"study": "another"})
    assert log.read_sweep() == {"study": "small_study"}
    log.write_sweep({"study": "without a driver"})  # imported numbers, a test's run log


def test_pending_is_what_has_no_record_and_with_retry_what_failed():
    trials = small_study.space("tiny").trials(2)
    statuses = {trials[0].key: "complete", trials[1].key: "failed", trials[2].key: "stopped"}
    assert pending_trials(trials, statuses, retry_failed=False) == trials[3:]
    assert pending_trials(trials, statuses, retry_failed=True) == [trials[1], *trials[3:]]


def test_a_disk_is_checked_where_the_folder_will_be(tmp_path):
    check_disk(tmp_path / "not" / "yet" / "there", 1, "the run log")
    with pytest.raises(RequestError, match="the run log needs"):
        check_disk(tmp_path / "not" / "yet" / "there", 2**60, "the run log")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["sweep.json", "manifest.parquet"])
def test_a_damaged_file_of_the_run_log_is_refused_in_one_sentence(tmp_path, name):
    log = RunLog(tmp_path / "study")
    log.root.mkdir()
    check_readable(log)
    (log.root / name).write_text("{ torn")
    with pytest.raises(RequestError, match=r"cannot be read .*python -m foresight.verify"):
        check_readable(log)


def manifest_row(trial) -> dict:
    return {"key": trial.key, "arm": trial.arm.name, "seed": trial.seed}


def test_a_run_directory_goes_on_with_more_seeds_and_more_arms(log):
    trials = small_study.SWEEP.space("tiny").trials(3)
    check_same_arms(log, trials)
    log.write_manifest([manifest_row(trial) for trial in trials[:4]])
    check_same_arms(log, trials)


def test_an_arm_of_another_configuration_is_refused_with_both_keys(log):
    planned, *_ = small_study.SWEEP.space("tiny").trials(1)
    log.write_manifest([manifest_row(planned)])
    changed = replace(planned, config=planned.config.with_fields({"train.lr": 1e-4}))
    with pytest.raises(RequestError, match=f"arm 'baseline' at seed 0 is {planned.key}, and now it is {changed.key}"):
        check_same_arms(log, [changed])


def test_a_frozen_decoder_must_be_there_unless_it_is_pretrained_here(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_CHECKPOINTS", str(tmp_path))
    check_decoders([c2_ltx.baseline("tiny"), small_study.space("tiny").baseline])
    (tmp_path / "LTX-Video" / "vae").mkdir(parents=True)
    with pytest.raises(RequestError, match="no LTX-Video of diffusers' layout"):
        check_decoders([c2_ltx.baseline("tiny"), c2_ltx.baseline("full")])


@pytest.mark.parametrize(
    ("primary", "fields", "said"),
    [
        ("mask_iou", {}, "decoder 'ltx' draws no mask, so 'mask_iou'"),
        ("picture_iou", {"data.name": "scenes"}, "'picture_iou', the claim's primary metric, is measured on plain"),
        ("mask_iou", {"data.name": "ssv2", "decoder.name": "pixel"}, "'ssv2' has no masks"),
    ],
)
def test_a_primary_metric_that_cannot_be_measured_is_refused(primary, fields, said):
    baseline = c2_ltx.baseline("full")
    data = baseline.data.model_copy(update={"name": fields.get("data.name", "big_shapes")})
    decoder = baseline.decoder.model_copy(update={"name": fields.get("decoder.name", "ltx")})
    changed = baseline.model_copy(update={"data": data, "decoder": decoder})
    check_measurable(c2_ltx.CLAIM, baseline)
    with pytest.raises(RequestError, match=said):
        check_measurable(replace(c2_ltx.CLAIM, primary=primary), changed)


@pytest.mark.parametrize(
    ("stored", "said"),
    [({"study": "small_study"}, "sweep.json has no claim, claim_hash"), ({"scale": "tiny"}, "has no study, claim")],
)
def test_a_declaration_without_its_parts_is_of_no_study_of_ours(tmp_path, stored, said):
    log = RunLog(tmp_path / "small_study")
    log.write_sweep(stored)
    with pytest.raises(RequestError, match=said):
        check_ownership(log, small_study.SWEEP, small_study.SWEEP.space("tiny").baseline)
