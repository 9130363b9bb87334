"""`--pack` on the command line: where it makes no sense, how many trials it allows, and what a plan says of it."""

import json
from dataclasses import replace

import pytest
import small_search
import small_study
from command_line import SWEEP, refusal
from typer.testing import CliRunner

from foresight.runlog import RunLog
from foresight.tuning.flags import place
from foresight.tuning.packing import load_packing
from foresight.tuning.search_launch import build_search_app

pytestmark = pytest.mark.usefixtures("nothing_starts")

ALONE = replace(SWEEP, alone=True)


@pytest.fixture
def two_gpus(monkeypatch) -> None:
    monkeypatch.setattr("foresight.tuning.begin.cluster_gpus", lambda: 2.0)


@pytest.mark.parametrize(
    ("flags", "scale", "said"),
    [
        (("--workers", "2"), "full", "--pack lets trials share a GPU and --workers 2 gives a trial 2 of them"),
        (("--one", "some-key"), "full", "with a GPU of its own; leave out --one or --pack"),
        ((), "tiny", "--pack lets trials share GPUs, and trials at tiny scale run on CPUs; leave it out"),
        (("--plan",), "tiny", "trials at tiny scale run on CPUs"),
    ],
)
def test_trials_that_cannot_share_a_gpu_are_refused(command, two_gpus, tmp_path, flags, scale, said):
    assert said in refusal(command("--pack", *flags, scale=scale))
    assert not (tmp_path / "runs").exists()


def test_without_gpus_there_is_nothing_to_share(command):
    assert "--pack lets trials share GPUs, and there is none here" in refusal(command("--pack", scale="full"))


def test_a_study_that_measures_time_does_not_share(command, two_gpus):
    said = "'small_study' measures time, so nothing may run beside its trials; leave --pack out"
    assert said in refusal(command("--pack", sweep=ALONE, scale="full"))
    assert said in refusal(command("--pack", "--plan", sweep=ALONE, scale="full"))


def test_a_search_refuses_the_same(tmp_path):
    app = build_search_app(small_search.SEARCH)
    ended = CliRunner().invoke(app, ["--scale", "tiny", "--runs", str(tmp_path / "runs"), "--pack"])
    assert "trials at tiny scale run on CPUs" in refusal(ended)


@pytest.mark.parametrize(("cores", "most"), [(4, 4), (12, 12), (64, 16), (1, 2)])
def test_there_are_at_most_eight_trials_on_a_gpu_and_a_core_for_each(monkeypatch, tmp_path, cores, most):
    monkeypatch.setattr("foresight.tuning.flags.cluster_cpus", lambda: cores)
    placement = place("full", 2.0, str(tmp_path), {}, pack=True)
    assert (placement.slots, placement.pack, placement.cores, placement.processes) == (2, most, most, 2)
    assert placement.describe_slots() == f"up to {most} at a time"
    plain = place("full", 2.0, str(tmp_path), {})
    assert (plain.pack, plain.cores, plain.describe_slots()) == (0, 2, "2 at a time")


def test_a_plan_says_which_shares_are_known_also_without_a_gpu(command, tmp_path):
    told = json.loads(command("--plan", "--json", "--pack", scale="full").stdout)
    assert told["packing"] == {"gpu_mb": None, "parts": {}, "n_unmeasured": 3}
    packing = load_packing(RunLog(tmp_path / "runs" / "small_study"), gpu_mb=81_920.0, overhead_mb=500.0)
    baseline, layers, _ = small_study.space("full").arms()
    packing.measure(baseline, 7_500.0)
    packing.measure(layers, 30_000.0)
    shown = command("--plan", "--pack", scale="full").stdout
    expected = "sharing GPUs: 1 arm on 1/2 of a GPU, 1 on 1/8 of a GPU of 80 GiB; the need of 1 arm is measured before the first"
    assert expected in shown
    assert json.loads(command("--plan", "--json", scale="full").stdout)["packing"] is None
    assert "sharing GPUs" not in command("--plan", scale="full").stdout
