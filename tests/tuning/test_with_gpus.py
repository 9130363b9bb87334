"""Waiting for GPUs, on a cluster whose GPUs come look by look."""

import io
import itertools
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from foresight.errors import RunEndedError
from foresight.tuning import with_gpus


class GrowingCluster:
    """A Ray with as many GPUs as `counts` says, look after look; the last number stays."""

    def __init__(self, *counts: int):
        self.counts = list(counts)
        self.asked: list[object] = []
        self.is_shut_down = False
        self.util = SimpleNamespace(placement_group=self._ask, remove_placement_group=self.asked.remove)

    def cluster_resources(self) -> dict[str, float]:
        assert self.asked, "nothing asks for GPUs any more"
        n = self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]
        return {"CPU": 8.0} | ({"GPU": float(n)} if n else {})

    def shutdown(self) -> None:
        self.is_shut_down = True

    def _ask(self, bundles: list[dict[str, float]]) -> object:
        assert bundles == [{"GPU": 1}]
        self.asked.append(request := object())
        return request


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(with_gpus, "PAUSE_S", 0.0)


@pytest.fixture
def said() -> Console:
    return Console(file=io.StringIO())


def test_waits_until_all_are_there_and_gives_the_request_back(said):
    cluster = GrowingCluster(0, 8, 8, 16)
    assert with_gpus.await_gpus(cluster, 16, 60.0, said) == 16
    assert cluster.asked == []
    assert said.file.getvalue().splitlines() == [f"{n} of 16 GPUs are here" for n in (0, 8, 16)]


def test_a_number_that_no_cluster_has_is_refused():
    refused = CliRunner().invoke(with_gpus.app, ["100000", "true"])
    assert refused.exit_code == 2
    assert "less than or equal to 1024" in refused.stderr


def test_goes_on_with_those_that_came(said, monkeypatch):
    seconds = itertools.count()  # one a look
    monkeypatch.setattr(with_gpus, "time", SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda s: None))
    assert with_gpus.await_gpus(GrowingCluster(0, 8), 16, 2.0, said) == 8


def test_no_gpu_is_a_sentence_and_leaves_no_request(said):
    cluster = GrowingCluster(0)
    with pytest.raises(RunEndedError, match=r"no GPU came within 0\.001 minutes"):
        with_gpus.await_gpus(cluster, 8, 0.06, said)
    assert cluster.asked == []


def test_an_interrupt_leaves_no_request(said, monkeypatch):
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(with_gpus.time, "sleep", interrupt)
    cluster = GrowingCluster(0)
    with pytest.raises(KeyboardInterrupt):
        with_gpus.await_gpus(cluster, 8, 60.0, said)
    assert cluster.asked == []


def test_becomes_the_command_with_its_flags(monkeypatch):
    cluster, became = GrowingCluster(2), []
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setattr(with_gpus, "start_ray", lambda slots: cluster)
    monkeypatch.setattr(with_gpus.os, "execvp", lambda file, arguments: became.append((file, arguments)))
    command = ["python", "sweeps/p2_ablations.py", "--scale", "full", "--minutes", "3"]
    result = CliRunner().invoke(with_gpus.app, ["--minutes", "5", "2", *command])
    assert result.exit_code == 0, result.output
    assert became == [("python", command)]
    assert cluster.is_shut_down  # before the command connects on its own


def test_without_a_cluster_the_request_is_refused(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    result = CliRunner().invoke(with_gpus.app, ["2", "python", "x.py"])
    assert (result.exit_code, "there is no cluster to ask for GPUs" in result.output) == (2, True)


def test_a_command_that_is_not_there_is_refused_before_machines_are_started(monkeypatch):
    monkeypatch.setattr(with_gpus, "start_ray", lambda slots: pytest.fail("Ray was started"))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    result = CliRunner().invoke(with_gpus.app, ["2", "no-such-command"])
    assert (result.exit_code, "no command 'no-such-command'" in result.output) == (2, True)


def test_ray_has_what_is_asked_of_it():
    import ray.util

    assert callable(ray.util.placement_group)
    assert callable(ray.util.remove_placement_group)
