"""What no table may be made from: each check raises a RequestError of one sentence that names the trial and what to do.

In: the recorded or complete trials of a study. Nothing is returned but what the check establishes on the way. What a
reader must know and may live with is in `analysis.cautions`.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from foresight.config import TrialConfig
from foresight.errors import RequestError
from foresight.metrics import METRICS
from foresight.runlog import SCHEMA_VERSION, STATUSES

RANGE_TOLERANCE = 1e-6  # float32 means of bounded values end this close outside their bound
MEASURED = ("test/", "val/", "baseline/", "heldout/")
LPIPS_NAMES = ("lpips", "lpips_random_trunk")
CONFIG = "config/"
MAY_BE_EMPTY = {name for name, value in TrialConfig().flat().items() if value is None}


def check_schema(recorded: pd.DataFrame) -> None:
    """Refuses rows that a later version of this code wrote: what their columns mean is not known here."""
    if "schema_version" not in recorded:
        return
    newer = recorded[recorded["schema_version"] > SCHEMA_VERSION]
    if len(newer):
        first = newer.iloc[0]
        commit = first.get("env/git_commit")
        where = f" (git commit {commit})" if isinstance(commit, str) else ""
        raise RequestError(
            f"trial {first['key']} was written with schema version {int(first['schema_version'])} of the run log, and this "
            f"code reads versions up to {SCHEMA_VERSION}; analyse it with the version of the code that wrote it{where}"
        )


def check_identity(recorded: pd.DataFrame) -> None:
    """Refuses rows that do not say which trial they are of."""
    for name in ("key", "arm", "seed", "status"):
        without = recorded if name not in recorded else recorded[recorded[name].isna()]
        if len(without):
            key = without["key"].iloc[0] if "key" in without and name != "key" else "without a key"
            raise RequestError(
                f"the trial {key} has no '{name}', so its row is of no use; restore its trial.parquet, or delete it if the "
                "trial can run again"
            )
    seeds = pd.to_numeric(recorded["seed"], errors="coerce")
    odd = recorded[~(seeds % 1 == 0)]
    if len(odd):
        first = odd.iloc[0]
        raise RequestError(
            f"the trial {first['key']} has the seed {first['seed']!r}, and a seed is a whole number; correct its row"
        )
    unknown = recorded[~recorded["status"].isin(STATUSES)]
    if len(unknown):
        first = unknown.iloc[0]
        raise RequestError(
            f"the trial {first['key']} has the status '{first['status']}', which does not exist; known: {', '.join(STATUSES)}"
        )


def check_manifest(planned: pd.DataFrame) -> None:
    """Refuses a plan that names one key twice."""
    twins = planned.loc[planned["key"].duplicated(), "key"]
    if len(twins):
        raise RequestError(
            f"the manifest plans the key {twins.iloc[0]} more than once, so every count of planned trials is wrong; keep "
            "one row for each key"
        )


def check_planned_identity(trials: pd.DataFrame, planned: pd.DataFrame) -> None:
    """Refuses a row that names another arm, seed or configuration than the plan does for its key: it is another's number.

    A field of the configuration that either does not record does not differ.
    """
    places = pd.Index(planned["key"]).get_indexer(trials["key"])
    known, plan = trials[places >= 0], planned.iloc[places[places >= 0]]
    for column in ("arm", "seed", *(name for name in _config_columns(trials) if name in plan)):
        mine, theirs = known[column].to_numpy(), plan[column].to_numpy()
        odd = mine != theirs
        if odd.any() and column.startswith(CONFIG):
            odd &= ~(pd.isna(mine) | pd.isna(theirs))
        if odd.any():
            first, name = odd.argmax(), column.removeprefix(CONFIG)
            raise RequestError(
                f"trial {known['key'].iloc[first]} says {name} {_shown(mine[first])}, and the manifest plans {name} "
                f"{_shown(theirs[first])} for this key ({odd.sum()} such trials), so its numbers may be another arm's; restore "
                "the file that was changed"
            )


def check_one_configuration(complete: pd.DataFrame) -> None:
    """Refuses an arm whose trials differ in anything but their seed: its mean and its verdict would be of a patchwork.

    What a row does not record does not differ, but that nothing is set counts as a value of a field which may be empty.
    """
    columns = [name for name in _config_columns(complete) if name != f"{CONFIG}seed"]
    rows = complete[complete[columns].notna().any(axis=1)]
    for column in columns:
        stored = rows[column].to_numpy()
        if len(stored) and (stored == stored[0]).all():
            continue
        values = rows[column].astype(object)
        if column.removeprefix(CONFIG) in MAY_BE_EMPTY:
            values = values.where(values.notna(), "empty")
        codes = pd.Series(pd.factorize(values)[0], index=rows.index)
        if codes.max() < 1:  # one value, or none
            continue
        ends = codes[codes >= 0].groupby(rows["arm"]).agg(["min", "max"])
        mixed = ends.index[ends["min"] < ends["max"]]
        if len(mixed):
            mine = values[rows["arm"] == mixed[0]]
            counts = mine.value_counts()
            key, other = (rows.loc[mine.index[mine == counts.index[i]][0], "key"] for i in (-1, 0))
            name, odd, usual = column.removeprefix(CONFIG), _shown(counts.index[-1]), _shown(counts.index[0])
            raise RequestError(
                f"trial {key} of arm '{mixed[0]}' has {name} {odd}, and trial {other} of the same arm has {usual}, so the arm "
                "is not one configuration; analyse them from separate run logs"
            )


def _shown(value: object) -> str:
    """An integer that a gap in its column made a float reads as the integer."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _config_columns(trials: pd.DataFrame) -> list[str]:
    return [name for name in map(str, trials) if name.startswith(CONFIG)]


def check_blocks(complete: pd.DataFrame) -> None:
    """Refuses two complete trials of one arm and seed."""
    twins = complete[complete.duplicated(["arm", "seed"], keep=False)].sort_values(["arm", "seed"])
    if len(twins):
        first = twins.iloc[0]
        keys = twins.loc[(twins["arm"] == first["arm"]) & (twins["seed"] == first["seed"]), "key"]
        raise RequestError(
            f"arm '{first['arm']}' has {len(keys)} complete trials at seed {first['seed']} ({', '.join(keys)}), "
            "so its configuration changed between runs; analyse them from separate run logs"
        )


def check_ranges(complete: pd.DataFrame) -> None:
    """Refuses a measured value that is infinite or outside its metric's range; what was not measured is nan."""
    for column in map(str, complete.columns):
        if not column.startswith((*MEASURED, "share/", "cost/")):
            continue
        is_metric = column.split("/")[-1] in METRICS
        if not pd.api.types.is_numeric_dtype(complete[column]):
            texts = complete[complete[column].map(lambda value: isinstance(value, str))]
            if len(texts) and (is_metric or column.startswith("cost/")):
                first = texts.iloc[0]
                raise RequestError(
                    f"trial {first['key']} has {column} = '{first[column]}', which is text and no number; write the row anew"
                )
            if not is_metric:
                continue
        values = complete[column].astype(float)
        infinite = np.isinf(values)
        if infinite.any():
            key = complete.loc[infinite, "key"].iloc[0]
            raise RequestError(f"trial {key} has {column} = {values[infinite].iloc[0]:g}; infinity is no measurement")
        negative = values < 0
        if column.startswith("cost/") and negative.any():
            key = complete.loc[negative, "key"].iloc[0]
            raise RequestError(f"trial {key} has {column} = {values[negative].iloc[0]:g}; no cost is below 0")
        metric = METRICS.get(column.split("/")[-1]) if column.startswith(MEASURED) else None
        if metric is None:
            continue
        outside = values[(values < metric.low - RANGE_TOLERANCE) | (values > metric.high + RANGE_TOLERANCE)]
        if len(outside):
            key = complete.loc[outside.index[0], "key"]
            raise RequestError(
                f"trial {key} has {column} = {outside.iloc[0]:g}, outside the range "
                f"[{metric.low:g}, {metric.high:g}] of {metric.id}; that is a bug in the measurement, not a result"
            )


def check_sample_ranges(samples: pd.DataFrame) -> None:
    """As `check_ranges`, of single samples: a mean inside the range may be of values that no metric can have."""
    known = samples[samples["metric"].isin(list(METRICS))]
    lowest, highest = known["minimum"].to_numpy(float), known["maximum"].to_numpy(float)
    low = known["metric"].map({name: metric.low for name, metric in METRICS.items()}).to_numpy(float)
    high = known["metric"].map({name: metric.high for name, metric in METRICS.items()}).to_numpy(float)
    too_low = (lowest < low - RANGE_TOLERANCE) | np.isinf(lowest)
    outside = too_low | (highest > high + RANGE_TOLERANCE) | np.isinf(highest)
    if outside.any():
        at = int(outside.argmax())
        row, metric = known.iloc[at], METRICS[known["metric"].iloc[at]]
        value = lowest[at] if too_low[at] else highest[at]
        raise RequestError(
            f"trial {row['key']} has {metric.name} = {value:g} on a sample of its {row['split']} split, outside the range "
            f"[{metric.low:g}, {metric.high:g}] of {metric.id}; that is a bug in the measurement, not a result"
        )


def check_curve_ranges(curves: pd.DataFrame) -> None:
    """As `check_ranges`, of each epoch's validation; a diverging epoch's infinity is no bug, and a caution names it."""
    for column in map(str, curves.columns):
        metric = METRICS.get(column.removeprefix("val/")) if column.startswith("val/") else None
        if metric is None or curves[column].dtype.kind not in "fiu":
            continue
        values = curves[column].to_numpy(float)
        outside = (values < metric.low - RANGE_TOLERANCE) | (values > metric.high + RANGE_TOLERANCE)
        outside &= np.isfinite(values)
        if outside.any():
            row = curves.iloc[int(outside.argmax())]
            raise RequestError(
                f"trial {row['key']} has {column} = {row[column]:g} in epoch {row['epoch']}, outside the range "
                f"[{metric.low:g}, {metric.high:g}] of {metric.id}; that is a bug in the measurement, not a result"
            )


def check_definitions(complete: pd.DataFrame) -> None:
    """Refuses one metric measured by two definitions, or one LPIPS measured with two trunks."""
    stored = complete.get("env/metric_ids", pd.Series(dtype=object)).dropna()
    versions: dict[str, dict[str, int]] = {}
    for listed, n in stored.value_counts().items():
        for identity in set(str(listed).split()):
            of_name = versions.setdefault(identity.split("/")[0], {})
            of_name[identity] = of_name.get(identity, 0) + int(n)
    for name, counts in versions.items():
        if len(counts) > 1:
            raise RequestError(
                f"arms can only be compared by one definition of a metric, but {name} is {_counted(counts.items())}; run "
                "the trials of the older definition again"
            )
    for name in LPIPS_NAMES:
        if f"test/{name}" in complete and "env/lpips_trunk" in complete:
            trunks = complete.loc[complete[f"test/{name}"].notna(), "env/lpips_trunk"].dropna().value_counts()
            if len(trunks) > 1:
                raise RequestError(
                    f"arms can only be compared by LPIPS with one trunk, but {name} was measured with "
                    f"{_counted(trunks.items())}; run the trials of one of them again"
                )


def check_training_set(complete: pd.DataFrame, varied: Iterable[str]) -> None:
    """Refuses arms that were trained on, or chosen by, other images at the same seed, unless a factor varies the data."""
    if any(field.startswith("data.") for field in varied):
        return
    for column in ("data/train_hash", "data/n_train", "data/val_hash", "data/n_val"):
        if column not in complete:
            continue
        per_seed = complete.groupby("seed")[column].nunique()
        if (per_seed > 1).any():
            seed = per_seed.index[per_seed > 1][0]
            mine = complete[complete["seed"] == seed]
            counts = mine[column].value_counts()
            odd = mine.loc[mine[column] == counts.index[-1], "key"].iloc[0]
            raise RequestError(
                f"arms of one seed can only be compared when they were trained alike, but at seed {seed} {column} is "
                f"{_counted(counts.items())} (for example {odd}), and no factor of the study varies the data"
            )


def check_further_sets(complete: pd.DataFrame) -> None:
    """Refuses one name for different further sets: trials measured on other pictures, or on another number of them."""
    columns = [str(column) for column in complete if str(column).startswith("heldout/")]
    for column in (column for column in columns if column.count("/") == 2 and column.endswith(("/hash", "/n"))):
        counts = complete[column].dropna().value_counts()
        if len(counts) > 1:
            odd = complete.loc[complete[column] == counts.index[-1], "key"].iloc[0]
            raise RequestError(
                f"arms can only be compared on the same further set '{column.split('/')[1]}', but {column} is "
                f"{_counted(counts.items())} (for example {odd})"
            )


def check_further_sets_named(complete: pd.DataFrame) -> None:
    """Refuses trials of our own that do not say on which further set they were measured."""
    own = complete[complete["provenance"] != "imported"]
    measured = {
        name: own[[column for column in map(str, own) if column.startswith(f"heldout/{name}/")]].drop(
            columns=[f"heldout/{name}/hash", f"heldout/{name}/n"], errors="ignore"
        )
        for name in {str(column).split("/")[1] for column in own if str(column).startswith("heldout/")}
    }
    for name, values in measured.items():
        for column in (f"heldout/{name}/hash", f"heldout/{name}/n"):
            said = own.get(column, pd.Series(None, index=own.index, dtype=object))
            without = own[values.notna().any(axis=1) & said.isna()]
            if len(without):
                raise RequestError(
                    f"trial {without['key'].iloc[0]} was measured on the further set '{name}' and does not record {column}, so "
                    "what it was measured on is unknown; run it again"
                )


def _counted(counts: Iterable[tuple[object, int]]) -> str:
    return ", ".join(f"{value} in {n} trials" for value, n in counts)
