"""A machine that runs out of memory amid a trial, for real: Ray ends the trial's process, and the trial goes on in another."""

from pathlib import Path

import faulty_study
import psutil
import pytest
from driver import Study
from ray._private.utils import get_system_memory

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3000)]

LONG = faulty_study.SWEEP.space("tiny").trials(1)[1]
GIB = 2**30


def has_memory_of_its_own() -> bool:
    """Whether so much can be taken; in a container with a limit of its own the shares below would be of something else."""
    memory = psutil.virtual_memory()
    return memory.available > 8 * GIB and get_system_memory() == memory.total


def used_bytes() -> int:
    memory = psutil.virtual_memory()
    return memory.total - memory.available


@pytest.mark.skipif(not has_memory_of_its_own(), reason="needs 8 GiB of free memory, and no limit of a container")
def test_a_trial_whose_process_is_ended_for_want_of_memory_runs_again(tmp_path, feature_cache: Path, monkeypatch):
    study = Study("faulty_study.py", tmp_path / "here", feature_cache)
    for arm in faulty_study.SWEEP.space("tiny").arms():  # test_sweep.py measures; here it would only take time
        study.log.write_latency(arm.config.arm_key, {"latency_ms": 1.0})
    most = used_bytes() + 4 * GIB  # what the sweep needs of it is two
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{most / psutil.virtual_memory().total:.4f}")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    running = study.start("--limit", "2")
    running.wait_until(lambda: len(study.written()) == 1 and bool(study.training()), "the long trial alone")
    taken: list[bytes] = []

    def is_lost() -> bool:
        if used_bytes() < most + GIB // 4:
            taken.append(b"x" * (GIB // 4))
        return "lost its process" in running.out.read_text()

    running.wait_until(is_lost, "the trial's process is ended")
    taken.clear()
    ended = running.wait()
    assert ended.code == 0, ended.err
    assert f"{LONG.key} lost its process for want of memory and goes on as attempt 2" in ended.out
    row = study.log.read_trial(LONG.key)
    assert row["status"] == "complete"
    assert row["attempt"] >= 2
