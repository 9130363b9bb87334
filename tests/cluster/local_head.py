"""A Ray head on this machine, started by the command of cluster/README.md, with ports and a folder of its own."""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import psutil
from cluster_files import README, REPOSITORY
from free_ports import free_ports

MARK = "FORESIGHT_TEST_HEAD"  # in the environment of everything that is started here
TOKEN = "5e" * 32
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


def documented(start: str) -> str:
    """The command of cluster/README.md's last part that begins so, on one line."""
    part = README.split("\n## A cluster that is there\n")[1].replace("\\\n", " ")
    found = [line for line in part.splitlines() if re.match(start, line)]
    assert found, f"cluster/README.md has no command {start}"
    return " ".join(found[0].split())


class LocalHead:
    """`with LocalHead(cache) as head`: nothing of it is left afterwards, however the block ends."""

    def __init__(self, cache: Path):
        # Not pytest's folder: the names of Ray's sockets must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="foresight-head-"))
        gcs, self.dashboard, client, self.metrics, agent, monitor, head_metrics = free_ports(7)
        self.address = f"127.0.0.1:{gcs}"
        self.url = f"http://127.0.0.1:{self.dashboard}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "RAY_worker_niceness": "0",  # else what a test does beside the workers would take their time
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
            "RAY_API_SERVER_ADDRESS": self.url,
            "RAY_metrics_report_interval_ms": "1000",
            "AUTOSCALER_METRIC_PORT": str(monitor),
            "DASHBOARD_METRIC_PORT": str(head_metrics),
            "FORESIGHT_CACHE": str(cache),
            MARK: str(self.folder),
        }
        self.own_ports = (
            f"--port={gcs} --dashboard-port={self.dashboard} --ray-client-server-port={client} "
            f"--metrics-export-port={self.metrics} --dashboard-agent-listen-port={agent} --temp-dir={self.folder} "
            "--num-cpus=2 --object-store-memory=268435456"
        )

    def __enter__(self) -> Self:
        try:
            self.run(f"{documented('.*ray start --head')} {self.own_ports}")
            until(lambda: self.get("/api/version") is not None, "the dashboard answers")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def run(self, command: str) -> str:
        """A command line in the repository, as a person types it. Returns what it prints; fails when it fails."""
        # Files, not pipes: Ray's processes would keep a pipe open.
        with tempfile.TemporaryFile() as said:
            ended = subprocess.run(
                ["bash", "-c", command], cwd=REPOSITORY, env=self.environment, stdout=said, stderr=said, timeout=300
            )  # fmt: skip
            said.seek(0)
            text = said.read().decode()
        assert ended.returncode == 0, f"{command}\n{text}"
        return text

    def submit(self, flags: str, entrypoint: str) -> str:
        """`ray job submit`, without waiting. Returns the job's name."""
        said = self.run(f"ray job submit --no-wait {flags} -- {entrypoint}")
        found = re.search(r"Job '(\w+)' submitted", said)
        assert found, said
        return found[1]

    def job(self, name: str) -> dict[str, Any]:
        return self.get(f"/api/jobs/{name}")

    def ended(self, name: str, timeout_s: float = 400) -> str:
        """How the job ended, once it has."""
        until(lambda: self.job(name)["status"] in ENDED, f"job {name} ends", timeout_s)
        return self.job(name)["status"]

    def log(self, name: str) -> str:
        return self.get(f"/api/jobs/{name}/logs")["logs"]

    def get(self, path: str) -> Any:
        """What the dashboard's HTTP answers with the token; None while nothing answers."""
        asked = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {TOKEN}"})
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return json.load(answer)
        except ConnectionError:
            return None
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError:
            return None

    def shown(self) -> list[str]:
        """The lines of the node's metrics endpoint, which Prometheus reads; it asks for no token."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=30) as answer:
            return [line for line in answer.read().decode().splitlines() if not line.startswith("#")]

    def processes(self) -> list[psutil.Process]:
        """Everything that runs on behalf of this head; some of Ray's processes write their title over their environment."""
        found: set[psutil.Process] = set()
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE:
                    found |= {process, *process.children(recursive=True)}
            except psutil.Error:
                continue
        return list(found)

    def working(self, what: str) -> list[psutil.Process]:
        """Those of its processes whose command line holds `what`."""
        return [process for process in self.processes() if what in _command(process)]

    def close(self) -> None:
        # Not `ray stop`: that ends every Ray of this user, and others may run here.
        ours = self.processes()
        for process in ours:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(ours, timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)


def until(condition: Callable[[], bool], what: str, timeout_s: float = 400) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: did not happen within {timeout_s} s"
        time.sleep(0.1)


def quoted(*parts: object) -> str:
    return " ".join(shlex.quote(str(part)) for part in parts)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
