"""How fast and in how much memory the analysis reads a run log of 100, 1,000 and 10,000 trials of 100 epochs each.

Every reading is a process of its own, as its peak memory can be told from nothing else. The first one reads every trial's
files and keeps the derived tables; the ones after it read those.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.simulated_log import LEVELS, write_simulated_log

N_EPOCHS = 100
REPEATS = 3
FRAMES = ("table", "pareto", "verdicts", "coverage", "cautions")


def measure_analysis(scratch: Path, say: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """One row per size: trials, arms, seconds and megabytes of the first and of later readings (their median)."""
    rows = []
    for n_trials in LEVELS:
        say(f"{n_trials} trials of {N_EPOCHS} epochs are written")
        study = scratch / f"simulated_{n_trials}"
        started = time.perf_counter()
        write_simulated_log(study, n_trials, N_EPOCHS)
        row = {"n_trials": n_trials, "write_s": time.perf_counter() - started}
        row["first_s"] = _read_in_a_process(study)["total_s"]
        later = [_read_in_a_process(study) for _ in range(REPEATS)]
        rows.append(row | {name: median(reading[name] for reading in later) for name in later[0]})
    return rows


def _read_in_a_process(study: Path) -> dict[str, float]:
    shown = subprocess.run(
        [sys.executable, "-m", "benchmarks.analysis_speed", str(study)], capture_output=True, text=True, check=False
    )
    if shown.returncode:
        raise RuntimeError(f"reading {study} failed: {shown.stderr}")
    return json.loads(shown.stdout)


def read_study_timed(study: Path) -> dict[str, float]:
    """Seconds of import, load and each frame, and the process's peak memory after tables and front, and at its end.

    `total_s` is what `load(study).table()` and `.pareto()` take in a notebook that has imported the analysis.
    """
    started = time.perf_counter()
    import analysis

    found = {"import_s": time.perf_counter() - started}
    started, worked = time.perf_counter(), time.process_time()
    loaded = analysis.load(study)
    found["load_s"] = time.perf_counter() - started
    for name in FRAMES:
        begun = time.perf_counter()
        getattr(loaded, name)()
        found[f"{name}_s"] = time.perf_counter() - begun
        if name == "pareto":
            found |= {"total_s": time.perf_counter() - started, "cpu_s": time.process_time() - worked}
            found["peak_mb"] = _peak_mb()
    data = loaded.data
    return found | {"peak_of_all_mb": _peak_mb(), "n_arms": len(data.arms), "n_epochs": len(data.curves)}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB


if __name__ == "__main__":
    print(json.dumps(read_study_timed(Path(sys.argv[1]))))
