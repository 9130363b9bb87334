"""What a trial's samples add up to, so that its row can be held against them without reading them again.

In: `samples.parquet` of one trial, one row per test image. Out: one row per split and metric, with SUMMARY_SCHEMA.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from foresight.set_hash import compute_set_hash

TRAINING_SPLITS = ("train", "val")
NOT_METRICS = ("sample_hash", "split", "scene", "worst_rank")
SUMMARY_SCHEMA = pa.schema(
    {
        "split": pa.string(),
        "metric": pa.string(),
        "n": pa.int64(),  # rows of the split
        "n_distinct": pa.int64(),  # different pictures among them; empty where no hash was recorded
        "n_trained_on": pa.int64(),  # of those, pictures that stand among the training or validation rows as well
        "set_hash": pa.string(),  # over the pictures' hashes, as in data/test_hash
        "n_values": pa.int64(),  # rows for which the metric is defined
        "mean": pa.float64(),
        "median": pa.float64(),
        "minimum": pa.float64(),
        "maximum": pa.float64(),
        "n_at_minimum": pa.int64(),
        "n_at_maximum": pa.int64(),
    }
)


def summarise_samples(samples: pd.DataFrame) -> pa.Table:
    """SUMMARY_SCHEMA, one row per split and metric; samples that name no split are the test split's."""
    split_of = samples["split"].astype(str) if "split" in samples else pd.Series("test", index=samples.index)
    hashes = samples["sample_hash"].astype(str) if "sample_hash" in samples else None
    trained_on = set(hashes[split_of.isin(TRAINING_SPLITS)]) if hashes is not None else set()
    metrics = [name for name in samples.select_dtypes("number") if name not in NOT_METRICS]
    rows = []
    for split in split_of.unique():
        mine = (split_of == split).to_numpy()
        identity: dict[str, object] = {"split": split, "n": int(mine.sum())}
        if hashes is not None:
            shown = hashes[mine]
            identity |= {"n_distinct": shown.nunique(), "set_hash": compute_set_hash(shown)}
            identity["n_trained_on"] = len(set(shown) & trained_on) if split not in TRAINING_SPLITS else 0
        rows += [identity | {"metric": name} | _summary(samples.loc[mine, name].to_numpy(float)) for name in metrics]
    return pa.Table.from_pylist(rows, schema=SUMMARY_SCHEMA)


def _summary(values: np.ndarray) -> dict[str, float | int]:
    values = values[~np.isnan(values)]
    if not len(values):
        return {"n_values": 0}
    low, high = float(values.min()), float(values.max())
    return {
        "n_values": len(values),
        "mean": float(values.mean()),
        "median": float(np.median(values)),
        "minimum": low,
        "maximum": high,
        "n_at_minimum": int((values == low).sum()),
        "n_at_maximum": int((values == high).sum()),
    }
