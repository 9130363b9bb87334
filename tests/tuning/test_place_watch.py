"""A sweep for which there is no machine any more says so, and ends in a sentence."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from driver import Study

from foresight.errors import RunEndedError
from foresight.tuning import waiting
from foresight.tuning.ray_runtime import REPOSITORY
from foresight.tuning.sweep import Placement
from foresight.tuning.waiting import PATIENCE_S, PlaceWatch


class Cluster:
    """Four cores, one of them free, and no GPU any more."""

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 4.0}

    def available_resources(self) -> dict[str, float]:
        return {"CPU": 1.0}


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(waiting.time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def watch(tmp_path: Path, said: list[str]) -> PlaceWatch:
    placement = Placement(tmp_path, slots=2, gpus=1.0, wait_s=600.0)
    return PlaceWatch(Cluster(), SimpleNamespace(ended=None), SimpleNamespace(say=said.append), placement)


def step(watch: PlaceWatch, *states: str) -> None:
    watch.on_step_begin(0, [SimpleNamespace(status=state) for state in states])


def test_a_sweep_in_which_nothing_runs_for_long_is_told_once(watch, clock, said):
    for _ in range(5):
        step(watch, "TERMINATED", "PENDING", "PENDING")
        clock.now += PATIENCE_S / 2
    assert said == [
        "no trial has got a process for 2:15: each takes 1 GPU and 1 CPU, and 0 of 0 GPUs and 1 of 4 CPUs are free; this "
        "command ends after 10:00"
    ]


def test_after_its_patience_the_run_ends_in_a_sentence(watch, clock):
    step(watch, "PENDING")
    clock.now += 599
    step(watch, "PENDING")
    clock.now += 2
    with pytest.raises(RunEndedError, match=r"no trial has got a process for 10:01: .*; every finished trial is kept"):
        step(watch, "PENDING")
    assert isinstance(watch.recorder.ended, RunEndedError)  # Tune hides what a callback raises


def test_one_that_runs_or_has_nothing_left_is_not_waited_for(watch, clock, said):
    for states in (("RUNNING", "PENDING"), ("TERMINATED",), ()):
        step(watch, "PENDING")
        clock.now += PATIENCE_S - 1
        step(watch, *states)
        clock.now += 10_000
        step(watch, "PENDING")
    assert said == []


# What `python stranded.py SCRIPT ...` does: the script, on a machine that has lost what its trials need, with less patience.
STRANDED = """
import runpy, sys
from dataclasses import replace
from foresight.tuning import begin, execute

place = begin.place
begin.place = lambda *given: replace(place(*given), wait_s=6.0)
execute.Runner._trial_resources = lambda *given: {"cpu": 1, "gpu": 1}
patience = lambda tune: lambda *given, **named: (impatient(), tune(*given, **named))[1]

def impatient():
    from foresight.tuning import waiting
    waiting.PATIENCE_S = 2.0

execute.Runner._tune = patience(execute.Runner._tune)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.ray
@pytest.mark.timeout(900)
def test_through_ray_a_sweep_without_machines_ends_in_a_sentence(tmp_path, feature_cache, monkeypatch):
    study = Study("small_study.py", tmp_path / "here", feature_cache)
    (tmp_path / "stranded.py").write_text(STRANDED)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    ended = study.start("--limit", "1", python=(str(tmp_path / "stranded.py"),)).wait(800)
    assert ended.code == 1, ended
    assert re.search(
        r"no trial has got a process for 0:\d\d: each takes 1 CPU, and .* are free; this command ends after 0:06",
        ended.out,
    )
    assert re.fullmatch(
        r"error: no trial has got a process for 0:\d\d: .*; every finished trial is kept, and .*\n", ended.err
    )
    assert study.left_behind() == []
