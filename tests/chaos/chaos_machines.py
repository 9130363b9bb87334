"""What the study runs on: this machine's own Ray, a head with nodes that can be lost, or a head that is given jobs."""

import json
import re
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from chaos_arena import Arena, Command
from chaos_room import started_processes, title_of
from free_ports import free_ports

RAY = str(Path(sys.executable).parent / "ray")
LOOPBACK = "--node-ip-address=127.0.0.1"
STORE_BYTES = str(128 * 2**20)
NODE = str(Path(__file__).with_name("chaos_node.py"))
WAIT_S = 300.0


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
    """Returns when `condition` holds; AssertionError when it takes longer than any machine should."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, f"{what}: did not happen within {timeout_s:.0f} s"
        time.sleep(0.1)


class Laptop:
    """The command starts its own Ray."""

    def __init__(self, arena: Arena):
        self.arena = arena

    def begin(self) -> None:
        """Nothing: see above."""

    def start(self, *more: str, **settings: str) -> Command:
        return self.arena.start(*more, **settings)


class Cluster(Laptop):
    """A head without CPUs and two nodes of one; the command finds them by RAY_ADDRESS."""

    head_cpus, n_nodes = 0, 2

    def __init__(self, arena: Arena):
        super().__init__(arena)
        self.port, self.dashboard, self.client = free_ports(3)
        self.token = secrets.token_hex(32)
        self.nodes: list[psutil.Process] = []  # raylets
        self.n_started = 0

    def begin(self) -> None:
        self.start_head()
        for _ in range(self.n_nodes):
            self.start_node()
        self.arena.settings |= {"RAY_ADDRESS": f"127.0.0.1:{self.port}", **self.access}

    @property
    def access(self) -> dict[str, str]:
        return {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{self.dashboard}",
        }

    def start_head(self) -> None:
        self.n_started += 1
        self._ray(
            "start", "--head", LOOPBACK, "--dashboard-host=127.0.0.1", "--disable-usage-stats", f"--port={self.port}",
            f"--dashboard-port={self.dashboard}", f"--ray-client-server-port={self.client}",
            f"--num-cpus={self.head_cpus}", f"--temp-dir={self.arena.root}/h{self.n_started}",
            f"--object-store-memory={STORE_BYTES}", *own_ports(),
        )  # fmt: skip

    def start_node(self) -> None:
        before = raylets()
        self._command(sys.executable, NODE, f"127.0.0.1:{self.port}", STORE_BYTES, *map(str, free_ports(2)))
        self.nodes += [process for process in raylets() if process not in before]

    def _ray(self, *arguments: str) -> str:
        return self._command(RAY, *arguments)

    def _command(self, *command: str) -> str:
        """Runs a command of Ray's. Returns what it says; fails when it fails."""
        said = self.arena.root / "ray.txt"
        with said.open("wb") as file:
            ended = subprocess.run(
                command, stdout=file, stderr=file, cwd=self.arena.code, timeout=WAIT_S,
                env=self.arena.environment | self.access,
            )  # fmt: skip
        assert ended.returncode == 0, f"{' '.join(command)}\n{said.read_text()}"
        return said.read_text()


class Jobs(Cluster):
    """A head with two CPUs, whose job server is given the command; head and job can go separately."""

    head_cpus, n_nodes = 2, 0

    def start(self, *more: str, **settings: str) -> "Job":
        wait_for(lambda: self.ask("/api/version") is not None, "the dashboard answers")
        wanted = {"env_vars": self.arena.settings | settings}
        self.arena.n_commands += 1
        said = self._ray(
            "job", "submit", "--no-wait", "--runtime-env-json", json.dumps(wanted), "--", *self.arena.command, *more
        )
        name = re.search(r"Job '(\w+)' submitted", said)
        assert name, said
        return Job(self, name[1], self.arena.root / f"h{self.n_started}")

    def begin(self) -> None:
        self.start_head()  # a job finds its head without being told

    def kill_head(self) -> None:
        """The daemons of the head; what they started ends by itself, or goes on for a while."""
        for process in started_processes():
            if re.search(
                r"gcs_server|raylet/raylet|dashboard/dashboard|dashboard/agent|monitor\.py", title_of(process)
            ):
                process.kill()

    def ask(self, path: str) -> Any:
        """What the dashboard answers; None while it does not."""
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.dashboard}{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None


class Job(Command):
    """A command that was submitted. It ends when its driver does, whether the head that took it still answers or not."""

    def __init__(self, head: Jobs, name: str, folder: Path):
        self.head, self.name, self.folder = head, name, folder
        self.seen: psutil.Process | None = None
        self.ended: int | None = None

    @property
    def driver(self) -> int | None:
        if self.seen is None:
            script = str(self.head.arena.code / "tests" / "chaos" / self.head.arena.script)
            own = [p for p in started_processes() if script in title_of(p) and "python" in title_of(p).split()[0]]
            self.seen = own[0] if own else None
        return self.seen.pid if self.seen else None

    @property
    def code(self) -> int | None:
        if self.ended is None:
            told = self.head.ask(f"/api/jobs/{self.name}") or {}
            if told.get("status") in ("SUCCEEDED", "FAILED", "STOPPED"):
                exited = told.get("driver_exit_code")
                self.ended = 0 if told["status"] == "SUCCEEDED" else exited if exited is not None else -9
            elif not told and self.driver is not None and not self._lives():
                self.ended = -9  # its head is gone, too
        return self.ended

    def text(self) -> str:
        found = list(self.folder.glob(f"session_2*/logs/job-driver-{self.name}.log"))
        return found[0].read_text(errors="replace") if found else ""

    def kill(self) -> bool:
        wait_for(lambda: self.driver is not None, "the job's driver starts")
        assert self.seen is not None
        if not self._lives():
            return False
        self.seen.kill()
        wait_for(lambda: not self._lives(), "a killed driver ends")
        return True

    def _lives(self) -> bool:
        return self.seen is not None and self.seen.is_running() and self.seen.status() != psutil.STATUS_ZOMBIE


def own_ports() -> list[str]:
    """Of what would else be the same for every node of one machine."""
    metrics, agent = free_ports(2)
    return [
        f"--metrics-export-port={metrics}", f"--dashboard-agent-listen-port={agent}", "--min-worker-port=0",
        "--max-worker-port=0",
    ]  # fmt: skip


def raylets() -> list[psutil.Process]:
    return [process for process in started_processes() if "raylet/raylet" in title_of(process).split(" ")[0]]


MACHINES: dict[str, type[Laptop]] = {"laptop": Laptop, "cluster": Cluster, "job": Jobs}
