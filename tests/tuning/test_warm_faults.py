"""The feature cache filled for real by a local Ray: interrupted, then with a process killed, then checked bit for bit."""

import signal
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import torch
import wide_study
from driver import Ended, Study

from foresight.features.extract import compute
from foresight.features.requests import missing_requests
from foresight.features.store import ArrayStore

torch.set_num_threads(1)  # as the processes that fill the cache do
pytestmark = [pytest.mark.ray, pytest.mark.timeout(3000)]
CONFIGS = [arm.config for arm in wide_study.space("tiny").arms()]


@dataclass(frozen=True)
class Story:
    """What happened, in this order: Ctrl-C once a shard was finished; the same command, one of its processes killed."""

    study: Study
    interrupted: Ended
    left: list[psutil.Process]
    kept: dict[Path, int]  # finished shards and when they were written
    untouched: bool  # as they still were when the next run was under way
    resumed: Ended


def finished_shards(study: Study) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in study.cache.glob("shards/*/[!.]*/meta.json")}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    root = tmp_path_factory.mktemp("warm")
    study = Study("wide_study.py", root / "here", root / "cache")
    running = study.start("wide_study")
    running.wait_until(lambda: bool(finished_shards(study)), "the first shard")
    interrupted = running.interrupt(signal.SIGINT)
    left, kept = study.left_behind(), finished_shards(study)

    running = study.start("wide_study")
    victims: set[int] = set()
    running.wait_until(lambda: bool(victims.update(study.at_work("Extractor.shard")) or victims), "a shard")
    now = finished_shards(study)
    untouched = {path: now.get(path) for path in kept} == kept
    psutil.Process(victims.pop()).kill()
    return Story(study, interrupted, left, kept, untouched, running.wait())


def test_ctrl_c_ends_within_seconds_with_one_line_and_keeps_finished_shards(story):
    assert story.interrupted.code == 130
    assert story.interrupted.wall_s < 15
    assert story.interrupted.out.splitlines()[-1].startswith("interrupted; every finished part is kept")
    assert story.interrupted.err == ""
    assert story.left == []
    assert story.kept


def test_the_same_command_goes_on_where_it_stopped(story):
    assert story.untouched
    assert "computed images" not in story.resumed.out


def test_a_process_that_is_killed_is_replaced(story):
    assert story.resumed.code == 0, story.resumed
    assert "4 entries are cached" in story.resumed.out
    assert story.resumed.err == ""


def test_entries_are_the_bits_of_a_single_process(story, tmp_path):
    alone, filled = ArrayStore(tmp_path), ArrayStore(story.study.cache)
    assert missing_requests(CONFIGS, filled) == []
    for stage in missing_requests(CONFIGS, alone):
        for request in stage:
            compute(request, alone)
            for key in request.keys:
                for path in (alone.root / key).iterdir():
                    assert path.read_bytes() == (filled.root / key / path.name).read_bytes()
    assert list((filled.root / "shards").iterdir()) == []


def test_nothing_is_left_running(story):
    assert story.study.left_behind() == []
