"""What each arm scores on each type of scene.

In: the samples of the trials at the registered seeds. Out: a frame with BREAKDOWN_COLUMNS. Every mean stands with the number
of test items of that type, its seeds and its interval; it has no verdict, since the claim is about all of them together.
"""

from functools import partial

import pandas as pd

from analysis.load import StudyData
from analysis.mean_interval import estimate_mean
from analysis.reading import read_checked

BREAKDOWN_COLUMNS = ("arm", "scene", "metric", "n_images", "n_seeds", "mean", "low", "high", "keys")


def build_breakdown(data: StudyData) -> pd.DataFrame:
    """One row per arm, scene type and metric of single items, with its 95 % interval over seeds.

    Empty for a factorial, whose arms are too many to read, and where there are fewer than two types.
    """
    empty = pd.DataFrame(columns=list(BREAKDOWN_COLUMNS))
    by_trial = [] if data.is_factorial else [_scene_means(data, key) for key in data.registered["key"]]
    found = [frame for frame in by_trial if len(frame)]
    if not found:
        return empty
    values = pd.concat(found, ignore_index=True).merge(data.registered[["key", "arm", "seed"]], on="key")
    if values["scene"].nunique() < 2:
        return empty
    rows = []
    for (arm, scene, metric), group in values.groupby(["arm", "scene", "metric"], sort=False):
        group = group.sort_values("seed")
        estimate = estimate_mean(str(metric), group["value"].tolist())
        row = {"arm": arm, "scene": scene, "metric": metric, "n_images": int(group["n_images"].iloc[0])}
        row |= {"keys": " ".join(group["key"])}
        rows.append(row | {"n_seeds": estimate.n, "mean": estimate.mean, "low": estimate.low, "high": estimate.high})
    table = pd.DataFrame(rows, columns=list(BREAKDOWN_COLUMNS))
    order = {"arm": data.arms, "metric": list(data.metrics), "scene": sorted(table["scene"].unique())}
    ranks = pd.DataFrame({name: table[name].map(values.index) for name, values in order.items()})
    return table.loc[ranks.sort_values(["arm", "metric", "scene"]).index].reset_index(drop=True)


def _scene_means(data: StudyData, key: str) -> pd.DataFrame:
    """Per scene type and metric of one trial: key, scene, metric, value, n_images (those for which it is defined)."""
    path = data.log.trials_dir / key / "samples.parquet"
    samples = read_checked(partial(data.log.read_samples, key), [path])
    metrics = [metric for metric in data.metrics if metric in samples]
    if not metrics or "scene" not in samples:
        return pd.DataFrame()
    on_test = samples[samples["split"] == "test"] if "split" in samples else samples
    by_scene = on_test.groupby("scene")[metrics].agg(["mean", "count"]).stack(level=0, future_stack=True).reset_index()
    named = by_scene.rename(columns={"level_1": "metric", "mean": "value", "count": "n_images"})
    return named[named["n_images"] > 0].assign(key=key)
