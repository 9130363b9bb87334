"""A run log of any size whose numbers are drawn, not trained: what the analysis has to read, without weeks of training.

Its provenance is `simulated`, so every report made from it says so. Files lie where and as a sweep would leave them, but
unflushed: nobody needs them after a power cut.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from foresight.claim import Claim, Criterion
from foresight.config import TrialConfig
from foresight.metrics import METRICS
from foresight.runlog import SCHEMA_VERSION, TRIAL_COLUMNS, RunLog, config_columns
from foresight.space import BASELINE

N_SEEDS = 5
FIELDS = {"fusion layers": "fusion.layers", "output queries": "fusion.queries", "VLM weight": "fusion.vlm_weight"}
# Levels of each field for so many trials: a factorial of n / 5 arms.
LEVELS = {100: (2, 2, 5), 1_000: (5, 5, 8), 10_000: (10, 10, 20)}
CLAIM = Claim(
    "Drawn numbers show how fast they are read.", "mask_iou", 0.02, 0.05, N_SEEDS, (Criterion("mask_iou", 0.7, 0.6, 0.5),)
)  # fmt: skip
MEASURED = ("mask_iou", "box_iou", "ssim", "edge_f1", "psnr", "mse", "lpips_random_trunk")


def write_simulated_log(root: Path, n_trials: int, n_epochs: int) -> None:
    """Writes the study at `root`: `n_trials` (a key of LEVELS) complete trials of `n_epochs` epochs, latency per arm."""
    log, arms = RunLog(root), _arms(n_trials)
    baseline = TrialConfig().flat() | {"train.epochs": n_epochs}
    factors = [
        {"name": name, "field": field, "levels": sorted({arm[field] for arm in arms}), "level_notes": {}}
        for name, field in FIELDS.items()
    ]
    baseline |= {field: arms[0][field] for field in FIELDS.values()}
    space = {"design": "factorial", "baseline": baseline, "factors": factors}
    declared = {"study": root.name, "scale": baseline["scale"], "question": "How fast is this read?", "space": space}
    log.write_sweep(declared | {"claim": CLAIM.to_json(), "claim_hash": CLAIM.hash})
    rows = _trial_rows(arms, baseline, root.name)
    planned = [
        "key",
        "arm",
        "factor",
        "level",
        "seed",
        "arm_key",
        *(name for name in rows if name.startswith("config/")),
    ]
    log.write_manifest(rows[planned].to_dict("records"))
    fixed = {name: pa.array([None] * len(rows), kind) for name, kind in TRIAL_COLUMNS.items() if name not in rows}
    trials = pa.Table.from_pandas(rows.drop(columns="arm_key"), preserve_index=False).replace_schema_metadata()
    for name, column in fixed.items():
        trials = trials.append_column(name, column)
    for i, (key, epochs) in enumerate(zip(rows["key"], _curves(rows, n_epochs), strict=True)):
        folder = log.trials_dir / key
        folder.mkdir(parents=True)
        pq.write_table(epochs, folder / "epochs.parquet")
        pq.write_table(trials.slice(i, 1), folder / "trial.parquet")
    (root / "latency").mkdir()
    for i, (arm, arm_key) in enumerate(rows[["arm", "arm_key"]].drop_duplicates().itertuples(index=False)):
        latency = {
            "arm_key": [arm_key],
            "arm": [arm],
            "latency_ms": [10 + 0.01 * i],
            "n_repeats": [50],
            "device": ["cpu"],
        }
        pq.write_table(pa.table(latency), root / "latency" / f"{arm_key}.parquet")


def _arms(n_trials: int) -> list[dict[str, Any]]:
    n_layers, n_queries, n_weights = LEVELS[n_trials]
    weights = np.round(np.linspace(0.2, 0.8, n_weights), 3).tolist()
    return [
        {"fusion.layers": layers, "fusion.queries": 32 * queries, "fusion.vlm_weight": weight}
        for layers in range(1, n_layers + 1)
        for queries in range(1, n_queries + 1)
        for weight in weights
    ]


def _trial_rows(arms: list[dict[str, Any]], baseline: dict[str, Any], study: str) -> pd.DataFrame:
    """One row per trial with every column that a trained one has: about 130."""
    rng = np.random.default_rng(0)
    names = [BASELINE, *(",".join(f"{field}={level}" for field, level in arm.items()) for arm in arms[1:])]
    i_arm, seed = np.repeat(np.arange(len(arms)), N_SEEDS), np.tile(np.arange(N_SEEDS), len(arms))
    n = len(i_arm)
    effect, block = rng.normal(0, 0.03, len(arms)), rng.normal(0, 0.01, N_SEEDS)
    iou = 0.6 + effect[i_arm] + block[seed] + rng.normal(0, 0.01, n)
    params = np.array([200_000 + 60_000 * arm["fusion.layers"] + 500 * arm["fusion.queries"] for arm in arms])
    columns: dict[str, Any] = {
        "key": [f"cross_attention-s{s}-{i:08x}" for i, s in zip(i_arm, seed, strict=True)],
        "sweep": study, "arm": np.array(names, object)[i_arm], "factor": "", "level": "", "seed": seed,
        "arm_key": [f"cross_attention-{i:08x}" for i in i_arm], "status": "complete", "error": None, "attempt": 1,
        "provenance": "simulated", "schema_version": SCHEMA_VERSION,
        **config_columns(baseline), "config/seed": seed,
        **{f"config/{field}": np.array([arm[field] for arm in arms])[i_arm] for field in FIELDS.values()},
    }  # fmt: skip
    for metric in MEASURED:
        values = iou if METRICS[metric].direction == "higher" else 1 - iou
        for name in (f"test/{metric}", f"val/{metric}"):
            columns[name] = np.clip(values + rng.normal(0, 0.003, n), 0, 1)
        columns |= {f"baseline/{predictor}/{metric}": 0.3 for predictor in ("mean_image", "centred_disc", "copy")}
    columns |= {
        "data/n_train": 512, "data/n_val": 64, "data/n_test": 200,
        "data/train_hash": "0" * 16, "data/val_hash": "1" * 16, "data/test_hash": "2" * 16,
        "cost/params_trained": params[i_arm], "cost/params_decoder": 90_000, "cost/params_total": params[i_arm] + 90_000,
        "cost/train_s": rng.gamma(5, 4, n), "cost/gpu_s": 0.0, "cost/peak_memory_mb": 900.0,
        "train/loss_variance": rng.gamma(2, 1e-5, n), "train/convergence_epoch": 2, "train/epochs_run": baseline["train.epochs"],
        "env/device": "cpu", "env/torch": "2.14.1", "env/git_commit": "04c016c", "env/threads": 1, "env/host": "here",
        "env/metric_ids": " ".join(METRICS[name].id for name in MEASURED), "env/lpips_trunk": "random seed 0",
    }  # fmt: skip
    return pd.DataFrame(columns)


def _curves(rows: pd.DataFrame, n_epochs: int) -> Iterator[pa.Table]:
    epoch = np.arange(1, n_epochs + 1)
    rise = 1 - np.exp(-epoch / (n_epochs / 5))
    for end in rows["test/mask_iou"]:
        columns = {"epoch": epoch, "step": 32 * epoch, "wall_s": 2.0 * epoch, "train/loss": 0.3 - 0.2 * rise * end}
        yield pa.table(columns | {f"val/{metric}": end * rise for metric in MEASURED})
