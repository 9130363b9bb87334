"""One trial as tests of the run log write it, with all of its files."""

from pathlib import Path

import pandas as pd

from foresight.runlog import (
    RunLog,
)

ROW = {
    "key": "film-s0-0a",
    "sweep": "study",
    "arm": "baseline",
    "factor": "",
    "level": "",
    "seed": 0,
    "status": "complete",
    "provenance": "trained",
}
EPOCHS = [{"epoch": 1, "train/loss": 0.5}, {"epoch": 2, "train/loss": 0.25}]
SAMPLES = pd.DataFrame({"sample_hash": ["a", "b"], "mask_iou": [0.5, 0.75]})
FILES = ("config.json", "epochs.parquet", "samples.parquet", "examples.png", "trial.parquet")


def write_whole(log: RunLog, **columns) -> None:
    """A trial with all of its files."""
    log.write_trial(ROW | columns, config={"seed": 0}, epochs=EPOCHS, samples=SAMPLES, pictures={"examples": b"png"})


def visible_files(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if not path.name.startswith(".")}
