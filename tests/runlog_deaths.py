"""A process that writes a run log is killed at each system call in turn: `python runlog_deaths.py FOLDER`, for its test.

Each death is checked by what users have: the invariants of `foresight.verify`, and the same command again.
"""

import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd
from PIL import Image

from foresight.claim import Claim
from foresight.config import TrialConfig
from foresight.runlog import RunLog, config_columns
from foresight.verify import find_faults

CLAIM = Claim("?", primary="mask_iou", margin=0.02, alpha=0.05, seeds=2)
CALLS = ("open", "write", "fsync", "replace", "unlink", "mkdir")
CONFIG = TrialConfig()
with io.BytesIO() as drawn:
    Image.new("RGB", (4, 4)).save(drawn, "png")
    PNG = drawn.getvalue()
PLANNED = {"key": CONFIG.key, "arm": "baseline", "factor": "", "level": "", "seed": CONFIG.seed}


def declare(log: RunLog, note: str) -> None:
    log.write_sweep({"study": "small", "claim": CLAIM.to_json(), "claim_hash": CLAIM.hash, "note": note})
    log.write_manifest([PLANNED])


def write_attempt(log: RunLog, attempt: int) -> None:
    """Attempt n has n epochs and n samples, of value n / 10, so files of two attempts contradict each other."""
    value = attempt / 10
    samples = pd.DataFrame({"sample_hash": list("abc")[:attempt], "split": "test", "mask_iou": value})
    row = PLANNED | {"sweep": "small", "status": "complete", "provenance": "trained", "attempt": attempt}
    log.write_trial(
        row | {"test/mask_iou": value, "data/n_test": attempt} | config_columns(CONFIG.flat()),
        config=CONFIG.model_dump(mode="json"),
        epochs=[{"epoch": n + 1, "val/loss": 1.0} for n in range(attempt)],
        samples=samples,
        pictures={"examples": PNG} if attempt == 1 else {},  # the later attempts leave a file less
        weights=bytes(range(256)),
    )


def kill_at(function: str, nth: int) -> None:
    """The `nth` call (from 0) of a function of os ends the process; a write tears, half of it is on the disk."""
    genuine, calls = getattr(os, function), [0]

    def dying(*arguments: Any, **keywords: Any) -> Any:
        calls[0] += 1
        if calls[0] == nth + 1:
            if function == "write":
                genuine(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return genuine(*arguments, **keywords)

    setattr(os, function, dying)


def die_everywhere(log: RunLog, act: Callable[[], None], check: Callable[[], None]) -> int:
    """How many deaths there were until nothing was left to die at."""
    deaths = 0
    for function in CALLS:
        nth = 0
        while True:
            child = os.fork()
            if child == 0:
                kill_at(function, nth)
                act()
                os._exit(0)
            _, status = os.waitpid(child, 0)
            if status == 0:
                break
            assert os.WTERMSIG(status) == signal.SIGKILL, status
            assert list(find_faults(log)) == [], (function, nth)
            check()
            nth, deaths = nth + 1, deaths + 1
    return deaths


def main(folder: Path) -> None:
    log = RunLog(folder)
    declare(log, "before")

    def trial_is_old_new_or_none() -> None:
        attempts = [log.read_trial(CONFIG.key)["attempt"]] if log.statuses() else []
        assert attempts in ([1], [2], []), attempts
        write_attempt(log, 2)  # the same again
        assert (log.read_trial(CONFIG.key)["attempt"], len(log.read_samples(CONFIG.key))) == (2, 2)
        write_attempt(log, 1)

    def declaration_is_old_or_new() -> None:
        assert (log.read_sweep() or {})["note"] in ("before", "after")
        declare(log, "before")

    write_attempt(log, 1)
    deaths = die_everywhere(log, lambda: write_attempt(log, 2), trial_is_old_new_or_none)
    deaths += die_everywhere(log, lambda: declare(log, "after"), declaration_is_old_or_new)
    print(deaths)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
