import signal
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
    with pytest.raises(RequestError, match=f"no Ray cluster answers at 127.0.0.1:{closed_port}; unset it to run here"):
        ray_runtime.cluster_gpus()


def test_rays_own_word_for_a_ray_of_this_command_is_no_cluster(monkeypatch):
    """Else it would listen on every interface, and ask for no token."""
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert not ray_runtime.in_cluster()


def test_what_ray_cannot_connect_to_is_said_in_a_sentence(monkeypatch):
    def init(ray, slots):
        raise RuntimeError("Version mismatch: the cluster has 1.0")

    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    monkeypatch.setattr(ray_runtime, "_init", init)
    with pytest.raises(
        RequestError, match=r"cannot connect to the cluster of RAY_ADDRESS '10.0.0.7:6379' .Version mism"
    ):
        ray_runtime.start_ray(1)


def test_ray_is_kept_over_the_blocks_of_a_command_and_ends_with_it(monkeypatch):
    ended: list[str] = []
    ray = SimpleNamespace(shutdown=lambda: ended.append("ray"))
    monkeypatch.setattr(ray_runtime, "start_ray", lambda slots: ray)
    before = signal.getsignal(signal.SIGTERM)
    with ray_runtime.keeping_ray():
        for _ in range(2):
            with ray_runtime.running_ray(1):
                assert ended == []
            assert (ended, signal.getsignal(signal.SIGTERM)) == ([], ray_runtime._interrupt)
    assert (ended, signal.getsignal(signal.SIGTERM)) == (["ray"], before)
    with ray_runtime.running_ray(1):
        pass
    assert ended == ["ray"] * 2


@pytest.mark.parametrize("said", [exceptions.RpcError("unavailable"), exceptions.AuthenticationError("WrongClusterID")])
def test_a_head_that_is_lost_or_started_anew_amid_a_run_ends_it_in_a_sentence(monkeypatch, said):
    monkeypatch.setattr(ray_runtime, "start_ray", lambda slots: SimpleNamespace(shutdown=lambda: None))
    sentence = f"the head .* was started anew .{type(said).__name__}.; what is"
    with pytest.raises(RunEndedError, match=sentence) as caught, ray_runtime.running_ray(1):
        raise said
    assert "\n" not in str(caught.value)


def test_a_schedulers_signal_is_ours_only_while_ray_runs(monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ray_runtime, "start_ray", lambda slots: SimpleNamespace(shutdown=lambda: None))
    with ray_runtime.running_ray(1):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_without_a_cluster_the_gpus_are_those_of_this_machine(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_runtime, "start_ray", lambda slots: pytest.fail("Ray was started to count GPUs"))
    assert ray_runtime.cluster_gpus() >= 0


@pytest.mark.parametrize(
    ("shown", "n"), [(None, 2), ("0", 1), ("", 0), ("-1", 0), ("GPU-a,GPU-b,GPU-c", 2), ("1,-1,0", 1)]
)
def test_only_visible_gpus_count(monkeypatch, shown, n):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if shown is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    monkeypatch.setattr(ray_runtime.Path, "glob", lambda path, pattern: iter(["/dev/nvidia0", "/dev/nvidia1"]))
    assert ray_runtime.cluster_gpus() == n


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
