"""Run logs in an object store: writers, readers on other machines, attempts replaced and uploads that end half-way.

Another machine is another folder for the copies.
"""

import os
import pickle
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from foresight.errors import RequestError, RunEndedError
from foresight.run_folder import bring_weights, open_runs, open_study_log
from foresight.runlog import RunLog
from foresight.split_log import read_split, write_split
from foresight.storage.copies import ROW
from foresight.storage.lease import hold
from foresight.storage.objects import ObjectFiles
from foresight.storage.place import Place

PLANNED = {"key": "k", "sweep": "small", "arm": "baseline", "seed": 0, "provenance": "trained"}


@pytest.fixture
def here(tmp_path: Path, s3_url: str) -> RunLog:
    return RunLog(tmp_path / "here", s3_url)


@pytest.fixture
def there(tmp_path: Path, s3_url: str) -> RunLog:
    """The same study on another machine."""
    return RunLog(tmp_path / "there", s3_url)


def write_attempt(log: RunLog, attempt: int, status: str = "failed", key: str = "k") -> None:
    """Attempt n has n samples of value n, and a picture if n is odd."""
    log.write_trial(
        PLANNED | {"key": key, "status": status, "attempt": attempt},
        config={"attempt": attempt},
        samples=pd.DataFrame({"value": [attempt] * attempt}),
        pictures={"examples": b"png"} if attempt % 2 else {},
        weights=b"weights" if status == "complete" else None,
    )


def attempt_of(log: RunLog, key: str = "k") -> int:
    """The attempt that the copy holds, after looking that its files belong to one and the same."""
    attempt = log.read_trial(key)["attempt"]
    assert (log.read_config(key) or {})["attempt"] == attempt
    assert log.read_samples(key)["value"].tolist() == [attempt] * attempt
    assert (log.trials_dir / key / "examples.png").exists() == bool(attempt % 2)
    return attempt


def test_what_one_machine_writes_another_one_reads(here, there):
    here.write_sweep({"study": "small"})
    here.write_manifest([{"key": "k", "arm": "baseline"}])
    here.write_looks([{"look": 1}])
    here.write_latency("arm", {"latency_ms": 1.0})
    name = write_split(here, ["a", "b"])
    write_attempt(here, 1, "complete")
    assert here.statuses() == {"k": "complete"}
    assert not there.root.exists()
    there.refresh()
    assert there.read_sweep() == {"study": "small"}
    assert there.read_manifest()["key"].tolist() == ["k"]
    assert there.read_looks() == [{"look": 1}]
    assert there.read_latency()["latency_ms"].tolist() == [1.0]
    assert read_split(there.root, name) == ["a", "b"]
    assert there.statuses() == {"k": "complete"}
    assert attempt_of(there) == 1


def test_a_running_trial_s_checkpoint_is_not_copied(here, there):
    here.files.shared.write(".running/k/checkpoint.safetensors", b"large")
    here.write_sweep({"study": "small"})
    there.refresh()
    assert there.read_sweep() == {"study": "small"}
    assert not (there.root / ".running").exists()


def test_what_was_measured_of_an_arm_is_gone_when_the_store_has_it_no_more(here, there):
    for kind in ("latency", "memory"):
        here.write_arm(kind, "arm", {"peak_mb": 1.0})
    there.refresh()
    assert len(there.read_arms("memory")) == len(there.read_arms("latency")) == 1
    for kind in ("latency", "memory"):
        here.files.shared.delete(f"{kind}/arm.parquet")
    there.refresh()
    assert len(there.read_arms("memory")) == len(there.read_arms("latency")) == 0


def test_weights_come_only_when_they_are_asked_for(here, there, s3_url, tmp_path):
    write_attempt(here, 2, "complete")
    there.refresh()
    assert not (there.trials_dir / "k" / "weights.safetensors").exists()
    runs, _, query = s3_url.partition("?")
    parent = Place(tmp_path / "third", f"{runs.rpartition('/')[0]}?{query}")
    bring_weights(parent, "k")
    brought = tmp_path / "third" / runs.rpartition("/")[2] / "trials" / "k"
    assert (brought / "weights.safetensors").read_bytes() == b"weights"
    assert (brought / ROW).exists()


def test_only_what_is_new_is_fetched(here, there, s3):
    if s3[1] is None:
        pytest.skip("another server, whose requests nobody counts")
    requests = s3[1].buckets["bucket"].requests
    for n in range(3):
        write_attempt(here, 1, key=f"k{n}")
    time.sleep(2.1)  # S3 tells time in seconds
    here.write_sweep({"study": "small"})
    there.refresh()
    before = len(requests)
    there.refresh()
    assert {line.rpartition("/")[2] for line in requests[before:]} <= {"", "sweep.json", *_folders(requests[before:])}
    write_attempt(here, 2, key="k1")
    before = len(requests)
    there.refresh()
    fetched = {line for line in requests[before:] if line.startswith("GET ") and "/trials/" in line}
    assert {line.split("/")[-2] for line in fetched} == {"k1"}
    assert attempt_of(there, "k1") == 2


def _folders(requests: list[str]) -> set[str]:
    return {line.rpartition("/")[2] for line in requests if "." not in line.rpartition("/")[2]}


def test_a_retried_trial_replaces_its_row_and_its_files(here, there):
    write_attempt(here, 1)
    there.refresh()
    write_attempt(here, 2, "complete")
    there.refresh()
    assert (attempt_of(there), there.statuses()) == (2, {"k": "complete"})
    assert set(here.files.shared.listing("trials/k")) == {
        "config.json", "samples.parquet", "weights.safetensors", ROW,
    }  # fmt: skip


def test_the_driver_reads_the_end_of_a_trial_that_ran_elsewhere(here, there):
    write_attempt(there, 1)
    here.refresh_trial("k")
    assert attempt_of(here) == 1
    write_attempt(there, 2)
    here.refresh_trial("k")
    assert attempt_of(here) == 2
    here.refresh_trial("none")
    assert list(here.statuses()) == ["k"]


def test_what_is_gone_from_the_store_goes_from_its_copies(here, there):
    here.write_sweep({"study": "small"})
    write_attempt(here, 1)
    there.refresh()
    assert there.statuses()
    here.files.shared.delete(f"trials/k/{ROW}")
    here.files.shared.delete("sweep.json")
    there.refresh()
    assert there.statuses() == {}
    assert there.read_sweep() is None


def test_readers_never_see_files_of_two_attempts(here, there):
    write_attempt(here, 1)
    seen: set[int] = set()

    def read() -> None:
        while 13 not in seen:
            there.refresh_trial("k")
            if (there.trials_dir / "k" / ROW).exists():
                seen.add(attempt_of(there))

    with ThreadPoolExecutor() as pool:
        reader = pool.submit(read)
        while 1 not in seen and not reader.done():
            time.sleep(0.01)
        for attempt in range(2, 14):
            write_attempt(here, attempt)
            time.sleep(0.02 * attempt)
        reader.result()
    assert {1, 13} <= seen
    there.refresh()
    assert attempt_of(there) == 13


@pytest.mark.timeout(240)
def test_a_process_killed_between_two_uploads_leaves_the_old_trial_or_none(here, there, s3_url, tmp_path):
    script = Path(__file__).with_name("upload_process.py")
    for nth in range(20):
        write_attempt(here, 1)
        ended = subprocess.run([sys.executable, script, tmp_path / "other", s3_url, str(nth)], check=False)
        there.refresh()
        found = [attempt_of(there)] if there.statuses() else []
        assert found == ([2] if ended.returncode == 0 else [1] if nth == 0 else [])
        if ended.returncode == 0:
            break
    assert nth == 5  # the old row and its picture go, two files and the row come: each a place to die at


def test_a_copy_that_the_store_does_not_have_is_no_trial(here):
    write_attempt(here, 1)
    shutil.copytree(here.trials_dir / "k", here.trials_dir / "never uploaded")
    here.refresh()
    assert list(here.statuses()) == ["k"]


def test_a_full_disk_leaves_the_trial_in_the_store(here, there, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(os, "write", full)
        write_attempt(here, 2)
    assert here.statuses() == {}
    here.refresh()
    there.refresh()
    assert attempt_of(here) == attempt_of(there) == 2


def test_a_study_in_a_store_has_one_driver(here, there):
    with hold(here.files.shared):
        refused = pytest.raises(RequestError, match=rf"s3://bucket/.* by another driver \(host .*pid {os.getpid()}")
        with refused, hold(there.files.shared):
            pytest.fail("two at once")
        there.refresh()
        assert not (there.root / ".driver").exists()
    assert here.files.shared.listing(".driver") == {}


def test_a_driver_that_lost_its_study_and_the_processes_of_its_trials_write_no_more(here):
    with pytest.raises(RunEndedError, match="was removed"), hold(here.files.shared, beat_s=0.05) as claim:
        here.claim = pickle.loads(pickle.dumps(claim))  # as it travels to the processes of the trials
        here.write_sweep({"study": "small"})
        for name in here.files.shared.listing(".driver"):
            here.files.shared.delete(f".driver/{name}")
        with pytest.raises(RunEndedError, match="was removed"):
            write_attempt(here, 1)
        time.sleep(20)
        pytest.fail("it was not told")
    assert here.files.shared.listing("trials/k") == {}


def test_commands_that_read_bring_what_is_new(here, s3_url, tmp_path, monkeypatch):
    here.write_sweep({"study": "small"})
    write_attempt(here, 1)
    monkeypatch.setenv("FORESIGHT_LOCAL", str(tmp_path / "reader"))
    assert open_study_log(s3_url).statuses() == {"k": "failed"}
    runs, _, query = s3_url.partition("?")
    parent, _, study = runs.rpartition("/")
    folder = open_runs(f"{parent}?{query}", study)
    assert RunLog(folder / study).statuses() == {"k": "failed"}
    assert (open_runs(f"{parent}?{query}") / study / "sweep.json").exists()
    assert open_runs(str(tmp_path)) == tmp_path


def test_a_store_that_is_lost_amid_a_run_ends_it_in_a_sentence(here, monkeypatch):
    write_attempt(here, 1)

    def lost(*_: object) -> bytes:
        raise OSError("AWS Error NETWORK_CONNECTION")

    monkeypatch.setattr(ObjectFiles, "read", lost)
    with pytest.raises(RunEndedError, match=r"trial k cannot be read from s3://bucket/.* goes on once it can be read"):
        here.refresh_trial("k")
    with pytest.raises(RequestError, match="cannot be reached from here"):
        here.refresh()
    monkeypatch.setattr(ObjectFiles, "_put", lost)
    with pytest.raises(RunEndedError, match=r"sweep\.json cannot be written to s3://bucket/"):
        here.write_sweep({"study": "small"})
