"""A task that waits for a GPU no machine has: it is said, and ends; where one comes, its result is taken."""

import io

import pytest
from ray import exceptions
from rich.console import Console

from foresight.errors import RunEndedError
from foresight.tuning import in_place
from foresight.tuning.in_place import result_in_place
from foresight.tuning.sweep import PATIENCE_S, Placement


class Cluster:
    """A Ray whose clock goes on by a minute at each look; a GPU is there at the minutes of `gpus`, and its task then ends."""

    exceptions = exceptions

    def __init__(self, gpus: set[int], ends_at: int = 10**9):
        self.gpus, self.ends_at, self.minute = gpus, ends_at, 0

    def wait(self, tasks: list[str], timeout: float) -> tuple[list[str], list[str]]:
        self.minute += 1
        return (tasks, []) if self.minute >= self.ends_at else ([], tasks)

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 4.0} | ({"GPU": 1.0} if self.minute in self.gpus else {})

    def get(self, task: str) -> str:
        return f"result of {task}"


def wait(cluster: Cluster, tmp_path, monkeypatch, gpus: float = 1.0) -> tuple[str, str]:
    monkeypatch.setattr(in_place.time, "monotonic", lambda: 60.0 * cluster.minute)
    said = Console(file=io.StringIO(), width=300)
    found = result_in_place(cluster, "task", Placement(tmp_path, 1, cache=tmp_path, gpus=gpus), said)
    return found, said.file.getvalue()


def test_no_machine_is_said_once_and_ends(tmp_path, monkeypatch):
    cluster = Cluster(set())
    with pytest.raises(
        RunEndedError, match="no machine with 1 GPU has been in the cluster for 31:00; what is finished is kept"
    ):
        wait(cluster, tmp_path, monkeypatch)


def test_a_machine_that_comes_is_waited_for(tmp_path, monkeypatch):
    found, said = wait(Cluster(set(range(20, 100)), ends_at=100), tmp_path, monkeypatch)
    assert found == "result of task"
    assert said == "no machine with 1 GPU has been in the cluster for 2:00; this command ends after 30:00\n"
    assert 60.0 < PATIENCE_S < 120.0


def test_a_long_task_with_its_gpu_is_no_wait(tmp_path, monkeypatch):
    assert wait(Cluster(set(range(1000)), ends_at=900), tmp_path, monkeypatch) == ("result of task", "")


def test_what_takes_no_gpu_is_not_watched(tmp_path, monkeypatch):
    cluster = Cluster(set())
    assert wait(cluster, tmp_path, monkeypatch, gpus=0.0)[0] == "result of task"
    assert cluster.minute == 0
