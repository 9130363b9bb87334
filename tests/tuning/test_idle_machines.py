"""What no trial can use is said."""

import io

import pytest
from rich.console import Console

from foresight.tuning import flags


@pytest.mark.parametrize(
    ("scale", "n_gpus", "workers", "said"),
    [
        ("full", 8, 3, "--workers 3: 2 at a time leave 2 of 8 GPUs idle\n"),
        ("full", 8, 4, ""),
        ("tiny", 8, 2, "--workers 2: 1 at a time leave 1 of 3 CPU cores idle\n"),
        ("full", 8, 1, ""),
    ],
)
def test_gpus_that_are_too_few_for_a_trial(monkeypatch, tmp_path, scale, n_gpus, workers, said):
    monkeypatch.setattr(flags, "cluster_cpus", lambda: 3)
    monkeypatch.setenv("FORESIGHT_CACHE", str(tmp_path / "cache"))
    console = Console(file=io.StringIO(), highlight=False)
    flags.say_idle(flags.place(scale, n_gpus, str(tmp_path), {}, workers), n_gpus, console)
    assert console.file.getvalue() == said
