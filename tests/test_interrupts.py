"""Ctrl-C while a command is still importing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
# A module that says it is being imported and then takes its time, in place of pandas.
SLOW = "import os, time\nprint('importing', flush=True)\ntime.sleep(30)\n"


@pytest.mark.parametrize(
    "command",
    [
        ["sweeps/p2_ablations.py", "--plan"],
        ["sweeps/warm_cache.py", "p2_ablations"],
        ["-m", "analysis", "p2_ablations"],
    ],
    ids=["study", "warm_cache", "analysis"],
)
def test_ctrl_c_during_the_imports_ends_with_130_and_one_line(tmp_path, command):
    (tmp_path / "pandas.py").write_text(SLOW)
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "importing\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


def test_any_other_error_is_shown_in_full():
    shown = subprocess.run(
        [sys.executable, "-c", "import foresight; 1 / 0"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 1
    assert "Traceback" in shown.stderr
    assert "ZeroDivisionError" in shown.stderr
