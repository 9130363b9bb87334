"""A head that outlives its drivers: one is killed in a trial of two workers, then the trial's own process in the next.

Both leave what they had reserved to nobody. The head has two cores and the trial needs both, so whatever is not freed
keeps the next from beginning.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
import pytest
from cluster_files import REPOSITORY
from local_head import LocalHead, until

from foresight.runlog import RunLog
from foresight.tuning.scratch import TrialScratch
from foresight.verify import find_faults

SCRIPT = REPOSITORY / "tests" / "tuning" / "shared_study.py"
sys.path.append(str(SCRIPT.parent))
import shared_study  # noqa: E402  it lies with the tests that need no head

pytestmark = [pytest.mark.ray, pytest.mark.timeout(2400)]

(TRIAL,) = shared_study.SWEEP.space("tiny").trials(1)[:1]
FLAGS = ("--scale", "tiny", "--limit", "1", "--workers", "2")
START_S = 900


@dataclass(frozen=True)
class Story:
    """What was there when the killed driver's processes had gone, and how the next one ended."""

    freed: list[float]  # cores that are free, at the end of each driver
    code: int
    out: str
    row: pd.Series
    epochs: pd.DataFrame
    faults: list[str]
    left: list[str]


class Driver:
    """The study's command on the head's cluster."""

    def __init__(self, head: LocalHead, runs: Path):
        self.head, self.runs, self.log = head, runs, RunLog(runs / "shared_study")
        self.scratch = TrialScratch(self.log, TRIAL.key)
        self.began = time.time()
        self.said = runs.parent / "said.txt"
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, str(SCRIPT), *FLAGS, "--runs", str(runs)],
                stdout=said,
                stderr=said,
                env=head.environment | {"RAY_ADDRESS": head.address},
            )

    def await_epoch(self, epoch: int) -> None:
        """Returns when the trial has told this driver of so many epochs."""

        def has_come() -> bool:
            assert self.process.poll() is None, self.said.read_text()
            path = self.log.root / ".running" / TRIAL.key / "rows.json"
            fresh = path.exists() and path.stat().st_mtime > self.began
            return fresh and self.scratch.read_rows()[-1]["epoch"] >= epoch

        until(has_come, f"epoch {epoch}", START_S)


def free_cores(head: LocalHead) -> float:
    code = (
        "from foresight.tuning.ray_runtime import start_ray; ray = start_ray(None); "
        "print('free', ray.available_resources().get('CPU', 0))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        env=head.environment | {"RAY_ADDRESS": head.address},
    )
    return float(ended.stdout.split("free")[1])


def process_of_trial(head: LocalHead) -> psutil.Process:
    """Tune's own process of the trial. Ray names it by its class while it waits and by its method while it works."""
    found: list[psutil.Process] = []

    def is_found() -> bool:
        # Its name may change between two looks at it, so it is looked for until it has kept one for a whole look.
        found.extend(head.working("ray::SharedTrial") or head.working("Trainable.train"))
        return bool(found)

    until(is_found, "the trial's own process")
    (own,) = found
    return own


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    runs = tmp_path_factory.mktemp("shared") / "runs"
    with LocalHead(tmp_path_factory.mktemp("cache")) as head:
        first = Driver(head, runs)
        for arm in shared_study.SWEEP.space("tiny").arms():
            first.log.write_latency(arm.config.arm_key, {"latency_ms": 1.0})
        first.await_epoch(3)
        first.process.kill()
        first.process.wait()
        until(lambda: not head.working("RayTrainWorker"), "the killed driver's workers end")
        freed = [free_cores(head)]

        second = Driver(head, runs)
        second.await_epoch(6)
        own = process_of_trial(head)
        own.kill()
        psutil.wait_procs([own], timeout=60)
        code = second.process.wait(START_S)
        freed.append(free_cores(head))
        yield Story(
            freed,
            code,
            second.said.read_text(),
            second.log.trials().set_index("key").loc[TRIAL.key],
            second.log.read_epochs(TRIAL.key),
            list(find_faults(second.log)),
            # Its workers, controller and watchers; the dashboard has a part named after Train as well, which stays.
            [title for p in head.working("Train") if (title := " ".join(p.cmdline())).startswith("ray::")],
        )


def test_the_next_command_finishes_what_the_killed_driver_began(story):
    assert story.code == 0, story.out
    assert story.row["status"] == "complete"


def test_what_was_reserved_is_free_after_each_driver(story):
    assert story.freed == [2.0, 2.0]


def test_the_trial_whose_own_process_was_killed_is_tried_again_and_counts_it(story):
    assert story.row["attempt"] == 2
    assert f"{TRIAL.key} lost its process and goes on as attempt 2" in story.out


def test_its_epochs_are_whole(story):
    assert story.epochs["epoch"].tolist() == list(range(1, shared_study.LONG + 1))
    assert story.faults == []


def test_no_process_of_train_is_left_on_the_head(story):
    assert story.left == []
