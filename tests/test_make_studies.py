"""`make studies`, with a Python that only notes what it was asked to run."""

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
NOTES = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/asked.txt"
case "$1" in {cases} esac
"""


@pytest.fixture
def make(tmp_path):
    """Runs the target; `codes` gives the exit code of a script, 0 for the others. Returns how it ended and what it asked."""

    def run(codes: dict[str, int]) -> tuple[subprocess.CompletedProcess, list[str]]:
        python = tmp_path / "python"
        cases = " ".join(f"{script}) exit {code};;" for script, code in codes.items())
        python.write_text(NOTES.format(cases=cases or "none) ;;"))
        python.chmod(0o755)
        ended = subprocess.run(
            ["make", "--no-print-directory", "studies", f"PY={python}", f"SYNCED={python}", "RUNS=there"],
            cwd=REPOSITORY, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return ended, (tmp_path / "asked.txt").read_text().splitlines()

    return run


def test_every_study_is_run_at_tiny_scale_and_reported(make):
    ended, asked = make({})
    assert ended.returncode == 0, ended.stderr
    assert "sweeps/p2_ablations.py --scale tiny --runs there" in asked
    assert "sweeps/p2_ablations_factorial.py --seeds 1 --limit 100 --scale tiny --runs there" in asked
    assert "-m analysis p2_ablations --runs there" in asked
    assert len(asked) == 2 * sum(line.startswith("sweeps/") for line in asked)
    assert re.search(r"^p2_ablations: \d+ s, exit code 0$", ended.stdout, re.MULTILINE)


def test_it_goes_on_after_failed_trials_and_says_so_at_the_end(make):
    ended, asked = make({"sweeps/c2_architectures.py": 1})
    assert ended.returncode != 0
    assert "-m analysis c2_architectures --runs there" in asked  # failed trials are rows as well
    assert "-m analysis p2_ablations --runs there" in asked
    assert re.search(r"^c2_architectures: \d+ s, exit code 1$", ended.stdout, re.MULTILINE)
    assert "not complete: c2_architectures\n" in ended.stderr


def test_a_refused_study_has_no_report(make):
    ended, asked = make({"sweeps/c2_architectures.py": 2})
    assert ended.returncode != 0
    assert "-m analysis c2_architectures --runs there" not in asked
    assert "-m analysis p2_ablations --runs there" in asked


def test_an_interrupt_ends_all_of_it(make):
    ended, asked = make({"sweeps/c2_architectures.py": 130})
    assert ended.returncode != 0
    assert asked[-1].startswith("sweeps/c2_architectures.py")
