"""Every test image of every arm beside the baseline's at the same seed: what `per_image` counts and figures draw.

In: the samples of a study's complete trials at the registered seeds. Out: a frame with PAIR_COLUMNS.
"""

from functools import partial

import pandas as pd

from analysis.load import StudyData
from analysis.reading import read_checked
from analysis.test_set import TIMED
from foresight.metrics import METRICS
from foresight.space import BASELINE

PAIR_COLUMNS = ("arm", "seed", "place", "sample_hash", "scene", "difference", "gain")


def read_image_pairs(data: StudyData) -> pd.DataFrame:
    """PAIR_COLUMNS of every arm but the baseline: one row per seed and test image that both scored.

    `place` is the image's row in the samples. `difference` is arm minus baseline in the metric's own direction, `gain` the
    same with more being better. Empty for a factorial, whose arms are too many to read, where the primary metric is not
    one of single images, and where trials recorded no samples.
    """
    metric = data.claim.primary
    wanted = data.registered
    empty = pd.DataFrame(columns=list(PAIR_COLUMNS))
    if data.is_factorial or data.items == TIMED or BASELINE not in set(wanted["arm"]):
        return empty
    seeds_of_baseline = wanted.loc[wanted["arm"] == BASELINE, "seed"]
    frames, sign = [], 1 if METRICS[metric].direction == "higher" else -1
    for seed, block in wanted[wanted["seed"].isin(seeds_of_baseline)].groupby("seed"):
        samples = {arm: _samples(data, key) for arm, key in zip(block["arm"], block["key"], strict=True)}
        for arm in data.arms:
            if arm == BASELINE or arm not in samples or samples[arm].empty or samples[BASELINE].empty:
                continue
            both = samples[arm].merge(samples[BASELINE], on=["sample_hash", "copy"], suffixes=("", "_baseline"))
            difference = both["value"] - both["value_baseline"]
            found = both[["place", "sample_hash", "scene"]].assign(arm=arm, seed=seed, difference=difference)
            frames.append(found.assign(gain=sign * difference)[difference.notna()])
    return pd.concat(frames, ignore_index=True)[list(PAIR_COLUMNS)] if frames else empty


def _samples(data: StudyData, key: str) -> pd.DataFrame:
    """Test images of one trial: place, sample_hash, copy (of images that occur twice), scene, value."""
    path = data.log.trials_dir / key / "samples.parquet"
    samples = read_checked(partial(data.log.read_samples, key), [path])
    if data.claim.primary not in samples or "sample_hash" not in samples:
        return pd.DataFrame()
    samples = samples[samples["split"] == "test"] if "split" in samples else samples
    hashes = samples["sample_hash"].astype(str)
    scene = samples["scene"].astype(str) if "scene" in samples else ""
    found = pd.DataFrame({"place": range(len(samples)), "sample_hash": hashes.to_numpy()})
    found["scene"] = scene.to_numpy() if isinstance(scene, pd.Series) else scene
    return found.assign(copy=found.groupby("sample_hash").cumcount(), value=samples[data.claim.primary].to_numpy())
