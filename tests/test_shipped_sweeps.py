import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from foresight.train.size import measure_size
from foresight.tuning.sweep import plan_trials, resolve_space

REPOSITORY = Path(__file__).parents[1]
# A study is a file that declares a SWEEP, or a SEARCH (`test_shipped_searches`); the other files are commands over studies.
FILES = sorted((REPOSITORY / "sweeps").glob("*.py"))
STEMS = [path.stem for path in FILES if re.search(r"^SWEEP\b", path.read_text(), re.MULTILINE)]
SEARCHES = [path.stem for path in FILES if re.search(r"^SEARCH\b", path.read_text(), re.MULTILINE)]
COMMANDS = [path.stem for path in FILES if path.stem not in (*STEMS, *SEARCHES)]
DOCSTRING_LINES = ("Question", "Command", "Trials", "Cost", "Answer")


@pytest.fixture(params=STEMS)
def script(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(f"sweeps.{request.param}")


def test_there_are_sweeps_and_each_has_its_search_space_under_the_same_name():
    assert STEMS
    spaces = {path.stem for path in (REPOSITORY / "search_spaces").glob("*.py")} - {"__init__"}
    assert spaces == {*STEMS, *SEARCHES}


def test_a_command_over_studies_knows_them_all_and_runs_from_any_directory(tmp_path):
    assert COMMANDS == ["warm_cache"]
    warm_cache = importlib.import_module("sweeps.warm_cache")
    assert sorted(warm_cache.names_of("SWEEP")) == STEMS
    assert "p2_search" in warm_cache.names_of("SEARCH")
    assert [warm_cache.load_sweep(stem).name for stem in STEMS] == STEMS
    script = REPOSITORY / "sweeps" / "warm_cache.py"
    shown = subprocess.run(
        [sys.executable, script, "p2_ablation"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert shown.returncode == 2
    assert "did you mean 'p2_ablations'?" in shown.stderr
    assert list(tmp_path.iterdir()) == []


def test_make_studies_runs_every_study_by_the_command_of_its_docstring(tmp_path):
    told = subprocess.run(
        ["make", "--no-print-directory", "-s", "list-studies"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = told.stdout.splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(f"sweeps/{stem}.py" for stem in [*STEMS, *SEARCHES])
    assert "sweeps/p2_ablations_factorial.py --seeds 1 --limit 100" in lines  # 6480 trials are not for an afternoon


def test_the_docstring_says_what_a_reader_needs_in_this_order(script):
    doc = script.__doc__
    places = [re.search(rf"^{word}  +\S", doc, re.MULTILINE) for word in DOCSTRING_LINES]
    assert all(places), f"{script.__name__} has no line {DOCSTRING_LINES[places.index(None)]}"
    assert [place.start() for place in places] == sorted(place.start() for place in places)
    assert f"python sweeps/{script.SWEEP.name}.py" in doc


def test_the_docstring_counts_the_trials_rightly(script):
    trials = plan_trials(script.SWEEP, script.SWEEP.space("tiny"), script.SWEEP.seeds)
    said = re.search(r"^Trials +(\d+) (?:arms|cells) x (\d+) seeds = (\d+)", script.__doc__, re.MULTILINE)
    n_arms, n_seeds, n_trials = map(int, said.groups())
    assert n_trials == len(trials) == n_arms * n_seeds
    assert n_seeds == script.SWEEP.seeds


def test_the_name_is_the_stem_and_the_space_is_its_own(script):
    stem = script.__name__.removeprefix("sweeps.")
    assert script.SWEEP.name == stem
    own = importlib.import_module(f"search_spaces.{stem}")
    assert script.SWEEP.space is own.space
    assert script.SWEEP.claim is own.CLAIM


@pytest.mark.parametrize("scale", ["tiny", "full"])
def test_it_plans_at_both_scales_with_every_key_distinct(script, scale):
    space = resolve_space(script.SWEEP, scale, None, {})
    trials = plan_trials(script.SWEEP, space, 1)
    assert len({trial.key for trial in trials}) == len(trials) > 1
    assert {trial.config.scale for trial in trials} == {scale}
    checkpoints = {trial.config.vlm.checkpoint for trial in trials} | {
        trial.config.dinov2.checkpoint for trial in trials
    }
    assert ("random" in checkpoints) == (scale == "tiny")


@pytest.mark.timeout(300)  # it builds the models of all adapter studies
@pytest.mark.parametrize("scale", ["tiny", "full"])
def test_every_adapter_is_as_large_as_its_label(scale):
    spaces = [importlib.import_module(f"search_spaces.{stem}").space(scale).one_at_a_time() for stem in STEMS]
    adapters = [arm.config for space in spaces for arm in space.arms() if arm.config.bridge == "adapter"]
    assert adapters
    for config in adapters:
        assert measure_size(config)["params_trained"] == pytest.approx(config.adapter.budget_params, rel=0.05)


def test_scales_never_share_a_trial(script):
    keys = [{trial.key for trial in script.SWEEP.space(scale).trials(1)} for scale in ("tiny", "full")]
    assert not keys[0] & keys[1]


def test_the_claim_is_sound_and_its_seeds_are_run_by_default(script):
    script.SWEEP.claim.check()
    assert script.SWEEP.seeds >= script.SWEEP.claim.seeds


@pytest.mark.parametrize("stem", STEMS)
def test_the_script_runs_from_any_directory(stem, tmp_path):
    script = REPOSITORY / "sweeps" / f"{stem}.py"
    shown = subprocess.run(
        [sys.executable, script, "--help"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert shown.returncode == 0, shown.stderr
    assert "--retry-failed" in shown.stdout
    assert list(tmp_path.iterdir()) == []
