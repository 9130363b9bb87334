import socket

import pytest

from foresight.errors import RequestError
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
