import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import small_study

from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.tuning.preflight import (
    check_decoders,
    check_disk,
    check_readable,
    feature_bytes,
    only_driver,
    pending_trials,
)
from search_spaces import c2_ltx

REPOSITORY = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from foresight.runlog import RunLog
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
    assert f"host {socket.gethostname()}, pid {other_driver.pid}" in str(caught.value)


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
        assert str(os.getpid()) in (log.root / ".driver.json").read_text()


def test_a_driver_that_failed_lets_go(log):
    with pytest.raises(ZeroDivisionError), only_driver(log):
        raise ZeroDivisionError
    with only_driver(log):
        pass


def test_pending_is_what_has_no_record_and_with_retry_what_failed():
    trials = small_study.space("tiny").trials(2)
    statuses = {trials[0].key: "complete", trials[1].key: "failed", trials[2].key: "stopped"}
    assert pending_trials(trials, statuses, retry_failed=False) == trials[3:]
    assert pending_trials(trials, statuses, retry_failed=True) == [trials[1], *trials[3:]]


def test_features_are_counted_once_for_each_encoder():
    config = small_study.space("tiny").baseline
    # 28 images of 56 px with targets, masks and content of 32 px; VLM 2 x 2 tokens of 64 channels, DINOv2 L 4 x 4 of 64.
    images = 28 * (3 * 56 * 56 + (3 + 1 + 1) * 32 * 32)
    assert feature_bytes([config, config.with_fields({"fusion.layers": 2})]) == images + 2 * 28 * (4 * 64 + 16 * 64)
    smaller = config.with_fields({"dinov2.size": "B"})
    assert feature_bytes([config, smaller]) == feature_bytes([config]) + 2 * 28 * 16 * 48


def test_a_disk_is_checked_where_the_folder_will_be(tmp_path):
    check_disk(tmp_path / "not" / "yet" / "there", 1, "the run log")
    with pytest.raises(RequestError, match="the run log needs"):
        check_disk(tmp_path / "not" / "yet" / "there", 2**60, "the run log")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["sweep.json", "manifest.parquet", "consolidated.parquet"])
def test_a_damaged_file_of_the_run_log_is_refused_in_one_sentence(tmp_path, name):
    log = RunLog(tmp_path / "study")
    log.root.mkdir()
    check_readable(log)
    (log.root / name).write_text("{ torn")
    with pytest.raises(RequestError, match=r"cannot be read .*python -m analysis study"):
        check_readable(log)


def test_a_frozen_decoder_must_be_there_unless_it_is_pretrained_here(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_CHECKPOINTS", str(tmp_path))
    check_decoders([c2_ltx.baseline("tiny"), small_study.space("tiny").baseline])
    (tmp_path / "LTX-Video" / "vae").mkdir(parents=True)
    with pytest.raises(RequestError, match="no LTX-Video of diffusers' layout"):
        check_decoders([c2_ltx.baseline("tiny"), c2_ltx.baseline("full")])
