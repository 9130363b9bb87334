"""What `ray job submit --working-dir .` uploads, by Ray's own packaging."""

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml
from cluster_files import CLUSTER, REPOSITORY
from ray._private import ray_constants
from ray._private.runtime_env.packaging import GCS_STORAGE_MAX_SIZE, create_package
from ray.dashboard.modules.dashboard_sdk import parse_runtime_env_args
from ray.runtime_env import RuntimeEnv

LEFT = ["runs/p2/trials/a/trial.parquet", "runs-coco/p2/sweep.json", "results/p2/report.html", "wandb/run/log"]
LEFT += [".venv/bin/python", ".git/config", ".mypy_cache/x", "foresight/__pycache__/x.pyc"]
KEPT = ["requirements.lock", "foresight/runlog.py", "sweeps/p2_ablations.py", "benchmarks/results.csv"]


def packed(root: Path, to: Path) -> set[str]:
    """The files of the package that Ray would upload."""
    create_package(str(root), to, include_gitignore=True, excludes=ray_constants.get_runtime_env_default_excludes())
    with zipfile.ZipFile(to) as package:
        return {name for name in package.namelist() if not name.endswith("/")}


@pytest.fixture
def used_checkout(tmp_path) -> Path:
    """A checkout in which sweeps have been run."""
    root = tmp_path / "checkout"
    for name in (*LEFT, *KEPT):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    shutil.copy(REPOSITORY / ".gitignore", root)
    return root


def test_run_logs_and_environments_stay_here(used_checkout, tmp_path):
    found = packed(used_checkout, tmp_path / "package.zip")
    assert found == {*KEPT, ".gitignore"}


def test_no_trial_is_looked_at(used_checkout, tmp_path, monkeypatch):
    walked = []
    walk = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: walked.append(self.name) or walk(self))
    packed(used_checkout, tmp_path / "package.zip")
    assert "foresight" in walked
    assert not {"trials", "a", "p2", "run"} & set(walked)  # ten thousand trials would take a while


def test_the_repository_fits_many_times_over(tmp_path):
    """Of the files that git knows, as a working copy may hold anything."""
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    root = tmp_path / "checkout"
    for name in filter(lambda name: (REPOSITORY / name).is_file(), listed.stdout.splitlines()):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, root / name)
    found = packed(root, tmp_path / "package.zip")
    assert {"sweeps/p2_ablations.py", "foresight/runlog.py", "search_spaces/p2_ablations.py"} <= found
    assert (tmp_path / "package.zip").stat().st_size < 0.05 * GCS_STORAGE_MAX_SIZE


def test_ray_reads_the_runtime_environment_and_takes_it():
    given = parse_runtime_env_args(runtime_env=str(CLUSTER / "runtime_env.yaml"), working_dir=".")
    assert given["working_dir"] == "."
    taken = RuntimeEnv(env_vars=given["env_vars"])
    assert taken.env_vars() == {
        "FORESIGHT_CACHE": "/shared/cache",
        "HF_HOME": "/shared/huggingface",
        "TORCH_HOME": "/shared/torch",
        "RAY_JOB_STOP_WAIT_TIME_S": "30",
    }


def test_the_runtime_environment_holds_no_secret():
    given = yaml.safe_load((CLUSTER / "runtime_env.yaml").read_text())
    assert set(given) == {"env_vars"}
    assert not [name for name in given["env_vars"] if any(word in name for word in ("TOKEN", "KEY", "SECRET"))]
