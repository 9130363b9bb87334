"""RAY_ADDRESS: the cluster that this process was told of, and whether there is one. Ray itself would try for minutes."""

import os
import re
import socket

from foresight.errors import RequestError

ANSWER_S = 10.0  # that a cluster gets for an answer, twice
# What every version of Ray answers, with or without a token; asked by name, so that nothing of Ray's own has to be known.
QUESTION = "/ray.rpc.NodeInfoGcsService/GetClusterId"


def host_and_port(address: str) -> tuple[str, int] | None:
    """Of `host:port`, with or without a protocol before it; None for `auto` and the like."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdigit() else None


def is_on_the_loopback_alone(address: str) -> bool:
    """Whether a head was started for this machine alone: its port does not answer at the machine's own address."""
    named = host_and_port(address)
    if named is None or named[0] not in ("127.0.0.1", "localhost"):
        return False
    own = own_address()
    try:
        socket.create_connection((own, named[1]), timeout=ANSWER_S).close()
    except OSError:
        return True
    return own == "127.0.0.1"


def own_address() -> str:
    """That of this machine by which it reaches others; the loopback's where it reaches none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        try:
            # Nothing is sent: it only asks for a route to an address of the documentation's.
            route.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return route.getsockname()[0]


def check_address(address: str) -> None:
    """Raises RequestError where RAY_ADDRESS is no address, or no Ray answers there, in seconds."""
    if re.match(r"https?://", address):
        raise _refuse("it is that of a dashboard, for `ray job submit`, where no script can run")
    named = host_and_port(find_running() if address == "auto" else address)
    if named is None:
        raise _refuse("it is no address; give host:port of the cluster's head, such as 10.0.0.7:6379, or auto")
    answer = _ask(*named, asks=not address.startswith("ray://"))
    if answer:
        raise _refuse(f"{answer} at {named[0]}:{named[1]}")


def find_running() -> str:
    """The cluster that `auto` means: of this machine, the one that was started last."""
    from ray._private import services

    try:
        return str(services.get_ray_address_from_environment("auto", None))
    except ConnectionError as error:
        raise _refuse("no Ray cluster runs on this machine") from error


def _ask(host: str, port: int, asks: bool) -> str:
    """Why nothing can run there, or nothing. `asks`: for the cluster, not only whether anything of the kind is there."""
    import grpc
    from ray._private.grpc_utils import init_grpc_channel
    from ray.exceptions import AuthenticationError

    try:
        socket.create_connection((host, port), timeout=ANSWER_S).close()
    except (OSError, UnicodeError, OverflowError):
        return "no Ray cluster answers"
    try:
        with init_grpc_channel(f"{host}:{port}") as channel:
            if asks:
                channel.unary_unary(QUESTION)(b"", timeout=ANSWER_S)
            else:
                grpc.channel_ready_future(channel).result(timeout=ANSWER_S)
    except AuthenticationError:
        return "RAY_AUTH_MODE is 'token' and there is no token for the Ray cluster"
    except grpc.FutureTimeoutError:
        return "what answers is no Ray cluster"
    except grpc.RpcError as error:
        locked = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
        if error.code() in locked:
            return "this process has no right token (RAY_AUTH_MODE, RAY_AUTH_TOKEN) for the Ray cluster"
        return "what answers is no Ray cluster"
    return ""


def _refuse(why: str) -> RequestError:
    return RequestError(f"RAY_ADDRESS is '{os.environ.get('RAY_ADDRESS', '')}': {why}; unset it to run here")
