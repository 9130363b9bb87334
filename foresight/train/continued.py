"""Where the trained model lies that a trial starts from: in the run log of whichever study has run that trial."""

from pathlib import Path

from foresight.config import TrialConfig
from foresight.errors import RequestError

WEIGHTS_FILE = "weights.safetensors"


def find_weights(config: TrialConfig, runs: Path | None) -> Path:
    """The weights of the complete trial that `config` continues. Raises RequestError when there are none."""
    continued = config.continued()
    assert continued is not None, "this trial starts from nothing"
    studies = sorted(path for path in runs.iterdir() if path.is_dir()) if runs is not None and runs.is_dir() else []
    for study in studies:
        directory = study / "trials" / continued.key
        # A trial exists if and only if this file does; it is written after the weights.
        if (directory / "trial.parquet").exists() and (directory / WEIGHTS_FILE).exists():
            return directory / WEIGHTS_FILE
    raise RequestError(
        f"trial {config.key} starts from the trained model of {continued.key}, which no study in '{runs}' has kept; run the "
        "study that trains it with as many seeds first"
    )
