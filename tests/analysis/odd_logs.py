"""Run logs with one thing odd: three arms, and what is written anew of one of them."""

import pandas as pd
from study_writer import SPLITS, space

from foresight.runlog import RunLog
from foresight.space import Factor

LAYERS = space((Factor("fusion layers", "fusion.layers", (2, 4, 6)),))
ODD = "fusion.layers=2"


def rewrite(log: RunLog, arm: str, samples: pd.DataFrame | None = None, epochs: list[dict] | None = None, **columns):
    """Writes the arm's trials again with other details."""
    for trial in log.trials().to_dict("records"):
        if trial["arm"] == arm:
            row = {name: value for name, value in trial.items() if pd.notna(value)} | columns
            log.write_trial(row, samples=samples, epochs=epochs or ())


def samples_of(iou: float, images=SPLITS["test"], **columns) -> pd.DataFrame:
    return pd.DataFrame({"sample_hash": images, "split": "test", "mask_iou": iou, **columns})
