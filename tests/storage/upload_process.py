"""`python upload_process.py COPY URL N`: replaces the trial of test_copies.py, and is killed before its request N + 1."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from test_copies import write_attempt

from foresight.runlog import RunLog
from foresight.storage.objects import ObjectFiles


def counted(request: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def call(self: ObjectFiles, *arguments: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return request(self, *arguments)

    return call


if __name__ == "__main__":
    copy, url, n_requests = sys.argv[1:]
    left = [int(n_requests)]
    ObjectFiles._put = counted(ObjectFiles._put, left)
    ObjectFiles.delete = counted(ObjectFiles.delete, left)
    write_attempt(RunLog(Path(copy), url), 2)
