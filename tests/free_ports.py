"""Ports for a Ray of a test's own."""

import contextlib
import random
import socket


def free_ports(n: int) -> list[int]:
    """Ports that nothing listens on, and that nobody is given: above those of Ray's workers, below the system's own."""
    found: list[int] = []
    for port in random.sample(range(20_000, 32_768), 1000):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == n:
            return found
    raise AssertionError(f"of 1000 ports only {len(found)} are free")
