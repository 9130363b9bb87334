"""The simulated run log is one that the analysis reads whole, and says what it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import analysis
from benchmarks.analysis_speed import COLUMNS
from benchmarks.simulated_log import MEASURED, N_SEEDS, write_simulated_log
from foresight.runlog import RunLog

REPOSITORY = Path(__file__).parents[2]
MOST_MB = 400  # that tables, front, verdicts and cautions of 100 trials may take; those of 10,000 stay below 1000


def test_a_simulated_log_is_read_in_a_process_of_its_own_from_derived_tables(tmp_path):
    study = tmp_path / "simulated"
    write_simulated_log(study, 100, 3)
    loaded = analysis.load(study)
    assert (len(loaded.data.complete), len(loaded.data.arms), len(loaded.data.curves)) == (100, 100 // N_SEEDS, 300)
    assert loaded.data.complete.equals(RunLog(study).trials())
    assert len(loaded.table()) == (20 + 3) * len(MEASURED)
    assert loaded.pareto()["latency_ms"].notna().all()
    assert {"simulated"} <= {caution.kind for caution in loaded.cautions()}
    for file in study.glob("trials/*/*.parquet"):  # what the derived tables hold is not read again
        times = file.stat()
        content = b"x" * times.st_size
        with file.open("r+b") as opened:
            opened.write(content)

        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    held = np.ones(MOST_MB << 17)  # as many megabytes of this process, which are none of the one that reads
    command = [sys.executable, "-m", "benchmarks.analysis_speed", str(study)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    found = json.loads(shown.stdout)
    del held
    assert (found["n_arms"], found["n_epochs"]) == (100 // N_SEEDS, 100 * 3)
    # Megabytes and no other unit: an interpreter with pandas takes more than 50.
    assert 50 < found["peak_mb"] <= found["peak_of_all_mb"] < MOST_MB
    assert set(COLUMNS) - {"n_trials", "first_s"} <= set(found)
