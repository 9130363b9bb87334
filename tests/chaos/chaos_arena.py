"""One study's place in the chaos suite: a copy of the code, a run log and a feature cache on a small disk, and its commands.

What is copied from the undisturbed run is the life of the study up to some moment, so that a fault can strike late without
everything before it being computed again.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

import pandas as pd
from chaos_room import DISK_BYTES, OWN_CHILDREN, end_all, mount_disk, unmount_disk

from foresight.runlog import RunLog

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).resolve().parent
SLACK_BYTES = 64 * 2**10  # what a full disk has left at most


class Arena:
    """`with Arena("chaos_study.py") as arena`: nothing of it is left afterwards, neither files nor processes."""

    def __init__(self, script: str, flags: tuple[str, ...] = ()):
        self.script, self.flags = script, flags
        # Not pytest's folder: the names of Ray's sockets must be short.
        self.root = Path(tempfile.mkdtemp(prefix="fsc-"))
        self.disk, self.code = self.root / "disk", self.root / "code"
        self.has_disk = False
        self.settings: dict[str, str] = {}  # what the study's script reads of the environment
        self.n_commands = 0
        self.log = RunLog(self.disk / "runs" / Path(script).stem)
        self.cache = self.disk / "cache"

    def __enter__(self) -> Self:
        self.has_disk = mount_disk(self.disk)
        shutil.copytree(REPOSITORY / "foresight", self.code / "foresight")
        (self.code / "tests" / "chaos").mkdir(parents=True)
        shutil.copy2(SCRIPTS / self.script, self.code / "tests" / "chaos")
        (self.root / "tmp").mkdir()
        self.set_commit("chaos-1")
        return self

    def __exit__(self, *error: object) -> None:
        end_all()
        if self.has_disk:
            unmount_disk(self.disk)
        shutil.rmtree(self.root, ignore_errors=True)

    # --- the study's command -----------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """As a person's shell has it, with folders of its own."""
        ours = {
            name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "FORESIGHT_", "WANDB_"))
        }
        return ours | {
            "FORESIGHT_CACHE": str(self.cache),
            "TMPDIR": str(self.root / "tmp"),
            "RAY_TMPDIR": str(self.root),
            "OMP_NUM_THREADS": "1",
            "RAY_worker_niceness": "0",  # of Ray's 15 a busy machine leaves next to nothing, and phases last for ever
            **self.settings,
        }

    @property
    def command(self) -> list[str]:
        """The one that is run again and again."""
        script = self.code / "tests" / "chaos" / self.script
        runs = self.log.root.parent
        return [sys.executable, str(script), "--scale", "tiny", "--runs", str(runs), "--retry-failed", *self.flags]

    def start(self, *more: str, **settings: str) -> "Command":
        """The command, with flags and settings of this one time."""
        self.n_commands += 1
        return Command([*self.command, *more], self.environment | settings, self.root / f"said-{self.n_commands}.txt")

    def set_commit(self, name: str) -> None:
        """What the code says of itself in every row."""
        (self.code / "COMMIT").write_text(name)

    # --- its disk ----------------------------------------------------------------------------------------------------

    def fill_disk(self, rng: random.Random) -> None:
        """Leaves a few bytes free."""
        free = shutil.disk_usage(self.disk).free
        with (self.disk / "ballast").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, free - rng.randrange(SLACK_BYTES)))

    def free_disk(self) -> None:
        (self.disk / "ballast").unlink(missing_ok=True)
        assert shutil.disk_usage(self.disk).free > DISK_BYTES / 2

    # --- its past ----------------------------------------------------------------------------------------------------

    def copy_past(self, other: "Arena", phases: list[str], rng: random.Random) -> str:
        """Takes over what the undisturbed run had when the first of these phases began. Returns it in words."""
        phase = phases[0]
        if phase in ("start-up", "sensitivity", "features"):
            return self._copy_features(other, "features" not in phases, rng)
        planned = pd.read_parquet(other.log.root / "manifest.parquet")["key"].tolist()
        # A trial on Ray Train's workers takes as long as all others together: at most two of them are left.
        least = len(planned) - 2 if "--workers" in self.flags else 0
        n_trials = rng.randrange(least, len(planned) - 1) if phase == "trials" else len(planned)
        shutil.copytree(other.cache, self.cache)
        shutil.copytree(other.log.root, self.log.root, ignore=shutil.ignore_patterns(".driver"))
        for key in planned[n_trials:]:
            shutil.rmtree(self.log.trials_dir / key)
        rows = sorted((self.log.root / "latency").glob("*.parquet"))
        n_latency = {"trials": 0, "latency": rng.randrange(len(rows)), "end": len(rows) - 1}[phase]
        for path in rows[n_latency:]:
            path.unlink()
        return f"with {n_trials} trials and {n_latency} latencies"

    def _copy_features(self, other: "Arena", all_of_them: bool, rng: random.Random) -> str:
        if rng.random() < 0.5:
            return "from nothing"
        shutil.copytree(other.cache, self.cache)
        if all_of_them:
            return "with all features"
        entries = sorted(path for path in self.cache.iterdir() if (path / "meta.json").is_file())
        removed = rng.sample(entries, rng.randint(1, len(entries)))
        for entry in removed:
            shutil.rmtree(entry)
        return f"with {len(entries) - len(removed)} of {len(entries)} features"


class Command:
    """A command that was started, in a process group of its own, and what it says."""

    def __init__(self, command: list[str], environment: dict[str, str], said: Path):
        self.said = said
        with said.open("wb") as file:  # no pipe: a process that outlives the command would keep it open
            self.process = subprocess.Popen(
                command, stdout=file, stderr=file, cwd=said.parent, env=environment, start_new_session=True
            )
        OWN_CHILDREN.add(self.process.pid)

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        return self.process.poll()

    @property
    def driver(self) -> int | None:
        """The process that drives the study."""
        return self.process.pid

    def text(self) -> str:
        return self.said.read_text(errors="replace")

    def kill(self) -> bool:
        """kill -9 for the driver alone. Returns whether it had not ended by itself."""
        self.process.kill()
        return self.process.wait() == -signal.SIGKILL
