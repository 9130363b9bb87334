"""The feature cache filled by a real Ray that has room for one process where two were counted, as after a machine was lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import small_study

from foresight.features.requests import missing_requests
from foresight.features.store import ArrayStore

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1200)]
REPOSITORY = Path(__file__).parents[2]
FILL = """
import sys
from pathlib import Path
import small_study
from rich.console import Console
from foresight.tuning.feature_pool import fill_cache
from foresight.tuning.ray_runtime import running_ray
from foresight.tuning.sweep import Placement

root = Path(sys.argv[1])
configs = [arm.config for arm in small_study.SWEEP.space("tiny").arms()]
with running_ray(1) as ray:
    fill_cache(ray, configs, Placement(root / "runs", 2, cache=root / "cache"), Console())
"""


def test_one_place_where_two_were_counted_computes_everything(tmp_path):
    path = os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / "tests" / "tuning")))
    command = [sys.executable, "-c", FILL, str(tmp_path)]
    ended = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=900, check=False
    )
    assert ended.returncode == 0, ended.stderr
    configs = [arm.config for arm in small_study.SWEEP.space("tiny").arms()]
    assert missing_requests(configs, ArrayStore(tmp_path / "cache")) == []
