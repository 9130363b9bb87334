"""A trial that two Ray Train workers share, its run log and checkpoint in an object store: killed, gone on, the same numbers."""

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "tuning"))

import shared_study
from driver import Ended, Study

from foresight.runlog import RunLog
from foresight.storage.objects import ObjectFiles

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3000)]

FLAGS = ("--limit", "1", "--workers", "2")
KEY = shared_study.SWEEP.space("tiny").trials(1)[0].key


@dataclass(frozen=True)
class Story:
    """The trial on a disk, undisturbed; in the store it was interrupted after an epoch, and the same command given again."""

    on_disk: dict[str, object]
    interrupted: Ended
    kept: set[str]  # what the store had of the running trial then
    behind: list[dict[str, float]]  # the epochs that it had behind it
    resumed: Ended
    in_store: dict[str, object]
    epochs: list[dict[str, float]]
    left: list[str]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, s3) -> Story:
    folder, query = tmp_path_factory.mktemp("shared"), f"endpoint_override={s3[0]}&scheme=http"
    url, log_url = (f"s3://bucket/shared-{os.getpid()}{end}?{query}" for end in ("", "/shared_study"))
    disk = Study("shared_study.py", folder / "disk", folder / "cache")
    for log in (
        disk.log,
        RunLog(folder / "seed", log_url),
    ):  # other tests measure latency; here it would only take time
        for arm in shared_study.SWEEP.space("tiny").arms():
            log.write_latency(arm.config.arm_key, {"arm": arm.name, "latency_ms": 1.0})
    assert disk.run(*FLAGS).code == 0
    study, store = Study("shared_study.py", folder / "here", folder / "cache"), ObjectFiles(log_url)
    with pytest.MonkeyPatch.context() as machine:
        machine.setenv("FORESIGHT_LOCAL", str(folder / "first"))
        running = study.start("--runs", url, *FLAGS)
        running.wait_until(lambda: store.exists(f".running/{KEY}/rows.json"), "an epoch", timeout_s=600)
        interrupted = running.interrupt(signal.SIGINT)
        kept = set(store.listing(f".running/{KEY}"))
        behind = json.loads(store.read(f".running/{KEY}/rows.json"))
        machine.setenv("FORESIGHT_LOCAL", str(folder / "second"))
        resumed = study.run("--runs", url, *FLAGS)
    log = RunLog(folder / "third", log_url)
    log.refresh()
    left = [name for name in store.walk("") if name.startswith(".running/")]
    epochs = log.read_epochs(KEY).to_dict("records")
    return Story(disk.log.read_trial(KEY), interrupted, kept, behind, resumed, log.read_trial(KEY), epochs, left)


def test_it_is_interrupted_with_its_checkpoint_in_the_store_and_goes_on(story):
    assert story.interrupted.code == 130
    assert "checkpoint.safetensors" in story.kept
    assert story.resumed.code == 0, story.resumed.err
    assert story.in_store["status"] == "complete"
    assert story.left == []


def test_the_epochs_before_the_interrupt_were_not_trained_again(story):
    """Their times would be others: these are of the first machine, through the checkpoint."""
    assert 0 < len(story.behind) < len(story.epochs)
    assert [row["wall_s"] for row in story.epochs[: len(story.behind)]] == [row["wall_s"] for row in story.behind]


def test_its_numbers_are_those_of_a_folder(story):
    measured = {name for name in story.on_disk if name.startswith(("test/", "val/"))}
    assert len(measured) > 5
    assert {name: story.in_store[name] for name in measured} == {name: story.on_disk[name] for name in measured}
    assert story.in_store["env/workers"] == 2
