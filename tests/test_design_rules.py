"""Rules of the house that no single file can hold: who imports whom, what starts without torch, what may not change unseen."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from foresight.runlog import OPEN_PREFIXES, TRIAL_COLUMNS
from foresight.tuning.launch import build_app
from foresight.tuning.sweep import Sweep
from search_spaces.p2_ablations import CLAIM, space

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("foresight", "search_spaces", "sweeps", "analysis")
LONGEST_FILE = 300  # lines


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    """Dotted names of everything a file imports, wherever in it, `from a import b` as `a` and `a.b`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def importers(folders: tuple[str, ...], *modules: str) -> list[str]:
    """`file: module` for every import of one of the modules, or of something inside it, in the folders."""
    return [
        f"{path.relative_to(REPOSITORY)}: {name}"
        for path in python_files(*folders)
        for name in sorted(imported_modules(path))
        if any(name == module or name.startswith(f"{module}.") for module in modules)
    ]


def test_the_rules_look_at_the_files_that_are_there():
    assert all(python_files(package) for package in PACKAGES)
    assert importers(("sweeps",), "foresight.tuning")
    assert importers(("foresight/tuning",), "ray")


def test_foresight_never_imports_studies_or_analysis():
    assert importers(("foresight",), "search_spaces", "sweeps", "analysis") == []


def test_only_foresight_tuning_imports_ray_or_optuna():
    elsewhere = [line for line in importers(PACKAGES, "ray", "optuna") if not line.startswith("foresight/tuning/")]
    # Analysis may ask optuna which factor matters; that starts no trial.
    assert [line for line in elsewhere if not re.match(r"analysis/\w+\.py: optuna(\.importance|$)", line)] == []


def test_a_search_space_imports_only_the_config_the_space_the_claim_and_the_error():
    allowed = (
        "foresight.config", "foresight.space", "foresight.proposal_space", "foresight.dimensions", "foresight.claim",
        "foresight.errors", "search_spaces",
    )  # fmt: skip
    found = importers(("search_spaces",), "foresight", "torch", "ray", "sweeps", "analysis", "pandas")
    assert [line for line in found if not line.split(": ")[1].startswith(allowed)] == []


def test_training_knows_nothing_of_the_run_log_or_of_tuning():
    folders = tuple(f"foresight/{name}" for name in ("train", "models", "metrics", "encoders", "data", "features"))
    assert importers(folders, "foresight.runlog", "foresight.tuning", "foresight.space", "foresight.claim") == []


def test_analysis_touches_no_model_and_no_machine():
    unwanted = ("train", "models", "encoders", "features", "data", "tuning")
    assert importers(("analysis",), "torch", "search_spaces", "sweeps", *(f"foresight.{n}" for n in unwanted)) == []


def test_a_file_is_one_concept_and_short():
    lines = {
        str(p.relative_to(REPOSITORY)): len(p.read_text().splitlines())
        for p in python_files(*PACKAGES, "benchmarks", "tests")
    }
    assert {name: n for name, n in lines.items() if n > LONGEST_FILE} == {}


@pytest.mark.parametrize(
    "module",
    [
        "foresight.config",
        "foresight.space",
        "foresight.proposal_space",
        "foresight.claim",
        "foresight.runlog",
        "foresight.metrics",
        "foresight.features.requests",
        "foresight.tuning.launch",
        "foresight.tuning.search_launch",
        "analysis",
        "analysis.__main__",
        *(f"search_spaces.{path.stem}" for path in python_files("search_spaces") if path.stem != "__init__"),
        *(f"sweeps.{path.stem}" for path in python_files("sweeps")),
    ],
)
def test_starts_without_torch_and_ray(module):
    code = f"import sys, {module}; print(sorted({{'torch', 'ray', 'transformers', 'optuna'}} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert (shown.stdout.strip(), shown.stderr) == ("[]", "")


def test_the_flags_of_a_study_are_these_and_no_others():
    """Flags say how to run, never what: before adding one, ask whether it is a field of the config."""
    command = typer.main.get_command(build_app(Sweep("p2_ablations", "?", space, CLAIM)))
    flags = {option for parameter in command.params for option in parameter.opts}
    assert flags == {
        "--scale",
        "--plan",
        "--json",
        "--probe",
        "--seeds",
        "--limit",
        "--until-decided",
        "--budget-hours",
        "--budget-gpu-hours",
        "--budget-money",
        "--price",
        "--one",
        "--runs",
        "--workers",
        "--pack",
        "--retry-failed",
        "--data",
        "--coco-root",
        "--ssv2-root",
        "--davis-root",
        "--amend",
        "--wandb",
    }


def test_the_columns_of_the_run_log_are_these_and_no_others():
    """A run log written last year is read this year: a change here needs a new SCHEMA_VERSION."""
    assert {name: str(kind) for name, kind in TRIAL_COLUMNS.items()} == {
        "key": "string",
        "sweep": "string",
        "arm": "string",
        "factor": "string",
        "level": "string",
        "seed": "int64",
        "status": "string",
        "error": "string",
        "attempt": "int64",
        "provenance": "string",
        "schema_version": "int64",
        "cost/params_total": "int64",
        "cost/params_trained": "int64",
        "cost/params_decoder": "int64",
        "cost/budget_params": "int64",
        "cost/flops": "double",
        "cost/latency_ms": "double",
        "cost/train_s": "double",
        "cost/trial_s": "double",
        "cost/gpu_s": "double",
        "cost/peak_memory_mb": "double",
    }
    assert OPEN_PREFIXES == (
        "config/",
        "test/",
        "val/",
        "train/",
        "baseline/",
        "heldout/",
        "share/",
        "latency/",
        "env/",
        "data/",
    )
