"""No death and no torn write is ever read as a trial."""

import subprocess
import sys
from pathlib import Path

import pytest
from runlog_deaths import CONFIG, declare, write_attempt

from foresight.runlog import RunLog
from foresight.verify import find_faults


@pytest.mark.timeout(240)
def test_a_writer_may_be_killed_at_any_system_call(tmp_path):
    script = Path(__file__).with_name("runlog_deaths.py")
    ended = subprocess.run(
        [sys.executable, script, tmp_path / "small"], capture_output=True, text=True, check=False, timeout=200
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert int(ended.stdout) > 30


def test_a_file_cut_short_at_any_place_is_told_and_a_temporary_one_is_not_read(tmp_path):
    log = RunLog(tmp_path / "small")
    declare(log, "")
    write_attempt(log, 2)
    folder = log.trials_dir / CONFIG.key
    for name in ("trial.parquet", "epochs.parquet", "samples.parquet", "config.json"):
        whole = (folder / name).read_bytes()
        for length in (0, 1, len(whole) // 2, len(whole) - 1):
            (folder / f".{name}.5f.tmp").write_bytes(whole[:length])
            assert list(find_faults(log)) == []
            (folder / name).write_bytes(whole[:length])
            assert list(find_faults(log)), (name, length)
            (folder / name).write_bytes(whole)
    write_attempt(log, 2)
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []
