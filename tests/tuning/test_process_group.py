"""Two processes meet and add up a number, and neither can be reached from outside while they do."""

import subprocess
import sys

import pytest

from foresight.tuning.ray_runtime import REPOSITORY

# What each process does: the first says where the others shall come, all say where they listen.
MEMBER = """
import sys
import psutil, torch
import torch.distributed as dist
from foresight.tuning import process_group

rank = int(sys.argv[1])
if rank == 0:
    print(process_group.listen("127.0.0.1")[1], flush=True)
port = int(sys.argv[2]) if rank else 0
address = ("127.0.0.1", port) if rank else process_group._listener.getsockname()
process_group.join(address, rank, 2, "gloo", 60.0)
total = torch.tensor([rank + 1.0])
dist.all_reduce(total)
listens = {c.laddr.ip for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN}
dist.barrier()
print(total.item(), sorted(ip.removeprefix("::ffff:") for ip in listens))
dist.destroy_process_group()
"""


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", MEMBER, *arguments], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )


@pytest.mark.timeout(120)
def test_two_processes_meet_on_the_loopback_alone():
    first = start("0")
    assert first.stdout is not None
    second = start("1", first.stdout.readline().strip())
    said = [process.communicate(timeout=100)[0].strip() for process in (first, second)]
    assert said == ["3.0 ['127.0.0.1']"] * 2
