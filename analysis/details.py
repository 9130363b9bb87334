"""What trials and arms wrote beside the rows of trials: learning curves, summaries of samples, latency.

In: a run log and what of it is complete. Out: frames, each read from its derived table.
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain

import pandas as pd

from analysis.reading import read_checked
from analysis.refusals import check_curve_ranges, check_sample_ranges
from foresight.runlog import RunLog


def read_curves(log: RunLog, finished: Mapping[str, str], complete: pd.DataFrame) -> pd.DataFrame:
    """The epochs of the complete trials, trial by trial, with their arm (categorical) and seed; empty without any.

    Raises RequestError for an epoch whose validation is outside its metric's range.
    """
    epochs = _read(log, "epochs", "trials/*/epochs.parquet", partial(log.epochs, finished))
    if epochs.empty:
        return pd.DataFrame()
    keys = epochs["key"].astype("category").cat
    row_of_epoch = pd.Index(complete["key"]).get_indexer(keys.categories)[keys.codes]
    is_complete = row_of_epoch >= 0
    rows = row_of_epoch[is_complete]
    arms = pd.Categorical(complete["arm"], categories=complete["arm"].unique())
    curves = epochs if is_complete.all() else epochs[is_complete].reset_index(drop=True)
    check_curve_ranges(curves)
    return curves.assign(arm=arms.take(rows), seed=complete["seed"].to_numpy()[rows])


def read_sample_summaries(log: RunLog, finished: Mapping[str, str], complete: pd.DataFrame) -> pd.DataFrame:
    """A row per complete trial, split and metric of its samples: `foresight.sample_summary`.

    Raises RequestError for a sample whose value is outside its metric's range.
    """
    samples = _read(log, "samples", "trials/*/samples.parquet", partial(log.sample_summaries, finished))
    samples = samples[pd.Index(complete["key"]).get_indexer(samples["key"]) >= 0].reset_index(drop=True)
    check_sample_ranges(samples)
    return samples


def read_latency(log: RunLog, planned: pd.DataFrame) -> pd.DataFrame:
    """Latency rows indexed by arm; only rows of arms as they are planned now, where the plan records the arm's key."""
    latency = _read(log, "latency", "latency/[!.]*.parquet", log.read_latency)
    if latency.empty:
        return pd.DataFrame(columns=["latency_ms"])
    if "arm_key" in planned:
        latency = latency[latency["arm_key"].isin(planned["arm_key"].unique())]
    return latency.drop_duplicates("arm", keep="last").set_index("arm")


def _read(log: RunLog, name: str, files: str, read: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    return read_checked(read, chain(log.root.glob(f"consolidated_{name}.parquet"), log.root.glob(files)))
