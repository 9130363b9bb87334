"""What RAY_ADDRESS may say, and that everything else is refused in seconds: Ray itself would try for minutes."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest

from foresight.errors import RequestError
from foresight.tuning import ray_address


def test_a_head_on_the_loopback_alone_is_told_from_one_that_listens_on_every_interface():
    with socket.socket() as alone, socket.socket() as everywhere:
        alone.bind(("127.0.0.1", 0))
        everywhere.bind(("0.0.0.0", 0))
        for listening, expected in ((alone, True), (everywhere, False)):
            listening.listen()
            address = f"127.0.0.1:{listening.getsockname()[1]}"
            assert ray_address.is_on_the_loopback_alone(address) is (
                expected or ray_address.own_address() == "127.0.0.1"
            )


@pytest.mark.parametrize("address", ["auto", "local", "10.0.0.7:6379", "ray://10.0.0.7:10001"])
def test_a_head_elsewhere_is_not_on_the_loopback(address):
    assert not ray_address.is_on_the_loopback_alone(address)


@pytest.fixture
def web_port() -> Iterator[int]:
    """A port at which a web server answers."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


class Head(grpc.GenericRpcHandler):
    """Answers as the head of a cluster does: with its id, or that the token is wrong."""

    def __init__(self, refuses: bool):
        self.refuses = refuses

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            if self.refuses:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid token")
            return b""

        return grpc.unary_unary_rpc_method_handler(answer) if details.method == ray_address.QUESTION else None


@pytest.fixture
def head_port(request: pytest.FixtureRequest) -> Iterator[int]:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers([Head(refuses=getattr(request, "param", False))])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None)


def test_a_cluster_that_answers_is_taken(head_port):
    ray_address.check_address(f"127.0.0.1:{head_port}")


@pytest.mark.parametrize("head_port", [True], indirect=True)
def test_a_cluster_of_somebody_else_is_refused(head_port):
    with pytest.raises(RequestError, match="has no right token"):
        ray_address.check_address(f"127.0.0.1:{head_port}")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("garbage", "it is no address; give host:port"),
        ("http://127.0.0.1:8265", "it is that of a dashboard"),
        ("127.0.0.1:99999", "no Ray cluster answers at 127.0.0.1:99999"),
        ("ray://nowhere.invalid:10001", "no Ray cluster answers at nowhere.invalid:10001"),
    ],
)
def test_what_is_no_address_of_a_cluster_is_refused(monkeypatch, address, said):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(RequestError, match=f"^RAY_ADDRESS is '{address}': {said}.*; unset it to run here$"):
        ray_address.check_address(address)


def test_a_port_of_something_else_is_refused(web_port):
    with pytest.raises(RequestError, match="what answers is no Ray cluster"):
        ray_address.check_address(f"127.0.0.1:{web_port}")


@pytest.mark.parametrize("protocol", ["", "ray://"])
def test_a_port_that_never_says_anything_is_given_up(monkeypatch, protocol):
    monkeypatch.setattr(ray_address, "ANSWER_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(RequestError, match="what answers is no Ray cluster"):
            ray_address.check_address(f"{protocol}127.0.0.1:{silent.getsockname()[1]}")
    assert time.monotonic() - began < 15  # Ray itself: minutes


def test_auto_with_the_file_of_a_dead_cluster_is_refused(monkeypatch):
    from ray._private import services

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{bound.getsockname()[1]}"
    monkeypatch.setattr(services, "get_ray_address_from_environment", lambda *given: dead)
    with pytest.raises(RequestError, match=f"no Ray cluster answers at {dead}"):
        ray_address.check_address("auto")


def test_auto_without_a_cluster_is_refused(monkeypatch):
    from ray._private import services

    def nothing(*given: object) -> str:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(services, "get_ray_address_from_environment", nothing)
    with pytest.raises(RequestError, match="no Ray cluster runs on this machine"):
        ray_address.check_address("auto")
