"""A small run log that is whole, for tests of what is read in one and what is not."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from foresight.claim import Claim
from foresight.config import TrialConfig
from foresight.looks import TEST_COLUMNS, look_fields
from foresight.runlog import RunLog, config_columns
from foresight.spending import Spending
from foresight.split_log import write_split
from foresight.train.pictures import picture_strip

CLAIM = Claim("?", primary="mask_iou", margin=0.02, alpha=0.05, seeds=2, spending=Spending("pocock", (2, 4)))
SPLITS = {"train": ["t1", "t2"], "val": ["v1"], "test": list("abcd")}
KEYS = tuple(TrialConfig().at_seed(seed).key for seed in range(2))


def write_study(root: Path) -> RunLog:
    """Two seeds of one arm, both complete, three planned."""
    log = RunLog(root)
    log.write_sweep({"study": "small", "claim": CLAIM.to_json(), "claim_hash": CLAIM.hash})
    configs = [TrialConfig().at_seed(seed) for seed in range(3)]
    planned = [{"key": c.key, "arm": "baseline", "factor": "", "level": "", "seed": c.seed} for c in configs]
    log.write_manifest(planned)
    for row, config in zip(planned[:2], configs, strict=False):
        log.write_trial(
            row
            | {"sweep": "small", "status": "complete", "provenance": "trained", "test/mask_iou": 0.5, "data/n_test": 4}
            | {f"data/{split}_hash": write_split(log, images) for split, images in SPLITS.items()}
            | {"train/epochs_run": 2}
            | config_columns(config.flat()),
            config=config.model_dump(mode="json"),
            epochs=[{"epoch": 1, "val/loss": 2.0}, {"epoch": 2, "val/loss": 1.0}],
            samples=pd.DataFrame({"sample_hash": list("abcd"), "split": "test", "mask_iou": 0.5}),
            pictures={"examples": picture_strip([torch.rand(2, 3, 8, 8)])},
        )
    log.write_latency("a1", {"arm": "baseline", "latency_ms": 3.5})
    test = dict.fromkeys(TEST_COLUMNS, 0.5) | look_fields(CLAIM.looks()[0], CLAIM)
    log.write_looks([test | {"arm": arm, "verdict": "undecided", "goes_on": True} for arm in ("a", "b")])
    log.trials()
    return log


def rewrite(log: RunLog, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Changes a table of the first trial."""
    path = log.trials_dir / KEYS[0] / name
    change(pd.read_parquet(path)).to_parquet(path)
