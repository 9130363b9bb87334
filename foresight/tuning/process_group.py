"""How the workers of one trial find each other: torch's process group, without a port that the whole network can reach.

Ray Train lets torch listen on every interface, and whoever connects may read and write what the workers tell each other.
Here the first worker listens at the address of its node alone, which on a laptop is the loopback's.
"""

import os
import socket
from datetime import timedelta
from typing import Any

import ray
import torch.distributed as dist
from ray.train.torch import TorchConfig
from ray.train.torch.config import _TorchBackend

LOOPBACK = "127.0.0.1"
LOOPBACK_INTERFACES = ("lo", "lo0")  # on Linux, and on a Mac

_listener: socket.socket | None = None  # of the first worker, from when its port is known until the others come


class GroupConfig(TorchConfig):
    """As Ray's, with the workers' meeting place at the address of the first one's node alone."""

    @property
    def backend_cls(self) -> "type[_GroupBackend]":
        return _GroupBackend


class _GroupBackend(_TorchBackend):
    def on_start(self, worker_group: Any, backend_config: Any) -> None:
        address = worker_group.execute_single(0, listen_on_node)
        n_workers = len(worker_group)
        ray.get(
            [
                worker_group.execute_single_async(
                    rank, join, address, rank, n_workers, backend_config.backend, backend_config.timeout_s
                )
                for rank in range(n_workers)
            ]
        )


def listen_on_node() -> tuple[str, int]:
    """In the first worker: where the others shall meet it."""
    return listen(ray.util.get_node_ip_address())


def listen(host: str) -> tuple[str, int]:
    """Opens the port of the meeting place at this address, and at no other one."""
    global _listener
    _listener = socket.create_server((host, 0))
    return host, _listener.getsockname()[1]


def join(address: tuple[str, int], rank: int, n_workers: int, backend: str, timeout_s: float) -> None:
    """In every worker: makes it one of the group. Returns when all of them are."""
    global _listener
    host, port = address
    if host == LOOPBACK:
        _keep_to_the_loopback()
    descriptor = None
    if rank == 0:
        assert _listener is not None
        descriptor, _listener = _listener.detach(), None  # the store's from here on
    timeout = timedelta(seconds=timeout_s)
    store = dist.TCPStore(host, port, n_workers, rank == 0, timeout, master_listen_fd=descriptor)
    dist.init_process_group(backend, store=store, rank=rank, world_size=n_workers, timeout=timeout)


def _keep_to_the_loopback() -> None:
    """Gloo and NCCL listen at an address of the machine unless they are told the interface."""
    here = {name for _, name in socket.if_nameindex()}
    interface = next(name for name in LOOPBACK_INTERFACES if name in here)
    for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ[variable] = interface
