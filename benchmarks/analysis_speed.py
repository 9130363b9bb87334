"""`python -m benchmarks.analysis_speed`: time and memory of the analysis for 100, 1,000 and 10,000 trials of 100 epochs.

Every reading is a process of its own, as its peak memory can be told from nothing else. The first one reads every trial's
files and keeps the derived tables; the ones after it read those. Beside the seconds on the clock stand those that the
process computed for: other programs on the machine move the one and hardly the other.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.simulated_log import LEVELS, write_simulated_log

N_EPOCHS = 100
REPEATS = 3
FRAMES = ("table", "pareto", "verdicts", "coverage", "cautions")


def measure_analysis(scratch: Path) -> Iterator[dict[str, Any]]:
    """One row per size: trials, arms, seconds and megabytes of the first and of later readings (their median)."""
    for n_trials in LEVELS:
        study = scratch / f"simulated_{n_trials}"
        write_simulated_log(study, n_trials, N_EPOCHS)
        first = _read_in_a_process(study)
        later = [_read_in_a_process(study) for _ in range(REPEATS)]
        row = {"n_trials": n_trials, "first_s": first["total_s"], "first_mb": first["peak_mb"]}
        yield row | {name: median(reading[name] for reading in later) for name in later[0]}


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
    """The most that this process has held. The ru_maxrss of getrusage would be its parent's, where that held more."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[1]) / 1024


def main() -> None:
    """Prints how time and memory grow with the number of trials."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*COLUMNS.values(), title=f"Trials of {N_EPOCHS} epochs, median of {REPEATS} processes", min_width=110)
    with tempfile.TemporaryDirectory(prefix="foresight-bench-") as scratch:
        for row in measure_analysis(Path(scratch)):
            table.add_row(*(f"{row[name]:.2f}" if name.endswith("_s") else f"{row[name]:.0f}" for name in COLUMNS))
    Console(width=130).print(table)


COLUMNS = {
    "n_trials": "trials",
    "n_arms": "arms",
    "first_s": "first reading, s",
    "total_s": "tables and front, s",
    "cpu_s": "computing, s",
    "load_s": "of it load",
    "table_s": "table",
    "pareto_s": "front",
    "peak_mb": "peak MB",
    "verdicts_s": "then verdicts, s",
    "coverage_s": "coverage",
    "cautions_s": "cautions",
    "peak_of_all_mb": "peak of all, MB",
}

if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(read_study_timed(Path(sys.argv[1]))))
    else:
        main()
