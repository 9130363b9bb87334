"""Every search that ships is declared soundly at both scales, and says what a reader needs."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from foresight.tuning.search_launch import build_search_app
from foresight.tuning.search_study import SearchStudy
from search_spaces import c2_scaling_lr

REPOSITORY = Path(__file__).parents[1]
STEMS = [
    path.stem
    for path in sorted((REPOSITORY / "sweeps").glob("*.py"))
    if re.search(r"^SEARCH\b", path.read_text(), re.MULTILINE)
]
SCALES = ("tiny", "full")


@pytest.fixture(params=STEMS)
def script(request):
    return importlib.import_module(f"sweeps.{request.param}")


def test_there_are_searches():
    assert {"p2_search", "c2_search"} <= set(STEMS)


@pytest.mark.parametrize("scale", SCALES)
def test_it_is_sound_at_both_scales(script, scale):
    space = script.SEARCH.space(scale)
    assert space.baseline.scale == scale
    assert script.SEARCH.check(space)
    assert ("random" in (space.baseline.vlm.checkpoint, space.baseline.dinov2.checkpoint)) == (scale == "tiny")


@pytest.mark.parametrize("scale", SCALES)
def test_every_dimension_can_be_proposed(script, scale):
    space = script.SEARCH.space(scale)
    assert [field for field, _ in space.neighbours()] == [dimension.field for dimension in space.dimensions]


def test_nothing_it_goes_by_is_a_test_metric(script):
    for objective in script.SEARCH.check(script.SEARCH.space("tiny")):
        assert objective.column.startswith(("val/", "cost/"))


def test_the_name_is_the_stem_and_the_space_is_its_own(script):
    stem = script.__name__.removeprefix("sweeps.")
    assert script.SEARCH.name == stem
    own = importlib.import_module(f"search_spaces.{stem}")
    assert (script.SEARCH.space, script.SEARCH.claim) == (own.space, own.CLAIM)


def test_the_docstring_says_what_a_reader_needs_in_this_order_and_counts_rightly(script):
    words = ("Question", "Command", "Trials", "Cost", "Answer")
    places = [re.search(rf"^{word}  +\S", script.__doc__, re.MULTILINE) for word in words]
    assert all(places)
    assert [place.start() for place in places] == sorted(place.start() for place in places)
    assert f"python sweeps/{script.SEARCH.name}.py" in script.__doc__
    said = re.search(r"^Trials +at most (\d+) proposals x (\d+) seeds? = (\d+)", script.__doc__, re.MULTILINE)
    n_proposals, n_seeds, n_trials = map(int, said.groups())
    assert (n_proposals, n_seeds) == (script.SEARCH.proposals, script.SEARCH.seeds)
    assert n_trials == n_proposals * n_seeds


def test_the_documented_command_goes_on_after_the_first_generation(script):
    """NSGA-II draws its first generation at random, and chooses by it for the next."""
    search = script.SEARCH
    shown = int(re.search(r"^Command .*--trials (\d+)", script.__doc__, re.MULTILINE).group(1))
    space = search.space("tiny")
    study = SearchStudy(space, search.check(space), search.sampler, search.seed, search.proposals)
    assert search.sampler != "nsga2" or shown >= 3 * study.population


@pytest.mark.parametrize("scale", SCALES)
def test_a_search_of_adapters_holds_every_size_of_the_scaling_study(scale):
    of_scaling = {trial.config.adapter.budget_params for trial in c2_scaling_lr.space(scale).trials(1)}
    for stem in ("c2_search", "c2_tradeoff_search"):
        space = importlib.import_module(f"search_spaces.{stem}").space(scale)
        (sizes,) = (d.values for d in space.dimensions if d.field == "adapter.budget_params")
        assert of_scaling <= set(sizes)


@pytest.mark.parametrize("stem", STEMS)
def test_the_script_runs_from_any_directory(stem, tmp_path):
    path = REPOSITORY / "sweeps" / f"{stem}.py"
    shown = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "--warm-start" in shown.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_flags_of_a_search_are_these_and_no_others():
    """Those of every study, with proposals in place of blocks; see `tests/test_design_rules.py`."""
    search = importlib.import_module("sweeps.p2_search").SEARCH
    command = typer.main.get_command(build_search_app(search))
    assert {option for parameter in command.params for option in parameter.opts} == {
        "--scale", "--plan", "--json", "--probe", "--trials",
        "--limit", "--budget-hours", "--budget-gpu-hours", "--budget-money", "--price",
        "--wandb", "--workers", "--pack", "--one", "--runs", "--warm-start",
        "--retry-failed", "--data", "--coco-root", "--ssv2-root", "--davis-root", "--amend",
    }  # fmt: skip
