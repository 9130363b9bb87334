import socket
from types import SimpleNamespace

import pytest
from ray import exceptions

from foresight.errors import RequestError, RunEndedError
from foresight.tuning import ray_runtime


@pytest.fixture
def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def test_a_cluster_that_does_not_answer_is_refused_at_once(monkeypatch, closed_port):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    with pytest.raises(
        RequestError, match=f"no Ray cluster answers at 127.0.0.1:{closed_port} .* unset it to run here"
    ):
        ray_runtime.cluster_gpus()


def test_a_head_on_the_loopback_alone_is_told_from_one_that_listens_on_every_interface():
    with socket.socket() as alone, socket.socket() as everywhere:
        alone.bind(("127.0.0.1", 0))
        everywhere.bind(("0.0.0.0", 0))
        for listening, expected in ((alone, True), (everywhere, False)):
            listening.listen()
            address = f"127.0.0.1:{listening.getsockname()[1]}"
            assert ray_runtime._is_on_the_loopback_alone(address) is (
                expected or ray_runtime._own_address() == "127.0.0.1"
            )


@pytest.mark.parametrize("address", ["auto", "local", "10.0.0.7:6379", "ray://10.0.0.7:10001"])
def test_a_head_elsewhere_is_not_on_the_loopback(address):
    assert not ray_runtime._is_on_the_loopback_alone(address)


def test_without_a_cluster_the_gpus_are_those_of_this_machine(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_runtime, "start_ray", lambda slots: pytest.fail("Ray was started to count GPUs"))
    assert ray_runtime.cluster_gpus() >= 0


def test_a_sigterm_while_ray_starts_is_an_interrupt(monkeypatch):
    def init(ray, slots):
        raise SystemExit(15)

    monkeypatch.setattr(ray_runtime, "_init", init)
    with pytest.raises(KeyboardInterrupt):
        ray_runtime.start_ray(1)


def failing(error: Exception) -> SimpleNamespace:
    """A Ray whose tasks all end so."""

    def get(task: object) -> None:
        raise error

    return SimpleNamespace(get=get, exceptions=exceptions)


@pytest.mark.parametrize("lost", [exceptions.WorkerCrashedError(), exceptions.OutOfMemoryError("too much")])
def test_a_task_whose_process_was_lost_ends_the_run_in_a_sentence(lost):
    with pytest.raises(RunEndedError, match=f"was lost .{type(lost).__name__}., with its machine") as caught:
        ray_runtime.result_of(failing(lost), "task")
    assert "\n" not in str(caught.value)


def test_our_own_mistake_in_a_task_is_not_hidden():
    error = exceptions.RayTaskError("f", "a traceback", ZeroDivisionError("ours"))
    with pytest.raises(exceptions.RayTaskError):
        ray_runtime.result_of(failing(error), "task")
