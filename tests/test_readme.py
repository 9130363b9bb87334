"""What the README tells people to type is there, and what the code reads of the environment is in it."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.partition(" # ")[0].strip()
    for block in BLOCKS
    for line in block.splitlines()
    if re.match(r"(python|uvx|make|ray|optuna\S*) ", line)
]


def test_there_are_commands():
    assert len(COMMANDS) > 20


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_exists(command):
    words = shlex.split(command)
    if "--" in words:  # the one that a job runs
        words = words[words.index("--") + 1 :]
    program, *rest = words
    if program == "make":
        assert re.search(rf"^{rest[0]}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    elif program != "python":
        assert (Path(sys.executable).parent / program).exists(), f"{program} is in no environment of ours"
    elif rest[0] == "-m":
        assert importlib.util.find_spec(rest[1]) is not None
    else:
        assert (REPOSITORY / rest[0]).is_file()


def test_every_variable_that_is_read_is_told():
    sources = [path.read_text() for path in (REPOSITORY / "foresight").rglob("*.py")]
    read = {name for source in sources for name in re.findall(r"\"(FORESIGHT_[A-Z_]+)\"", source)}
    assert len(read) >= 4
    assert [name for name in sorted(read) if f"`{name}`" not in README] == []


def test_every_folder_that_a_run_log_may_hold_is_on_its_map():
    the_map = next(block for block in BLOCKS if block.startswith("runs/<study>/"))
    for name in (".driver/", ".running/", ".locks/", "wandb/", "trials/", "splits/", "latency/", "sweep.json"):
        assert name in the_map
