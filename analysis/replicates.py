"""Noise, measured: trials of one configuration that were run twice, the spread over seeds, and what arms leave unexplained.

In: the complete trials of a study, and those with the same key in the studies beside it. Out: a frame with
REPLICATE_COLUMNS on the primary metric. Four noises: whether a configuration at one seed gives its number again (`same
seed`), how far an arm's difference from the baseline moves from seed to seed (`paired`, that of the arm in the middle: the
noise to plan with, and what `--plan` takes), how far arms differ beyond what a seed does to all of them (`residual`, pooled,
so that one noisy arm moves it; `block` is what the seed does to all), and how far one arm moves from seed to seed (`over
seeds`).
"""

import math
from functools import partial
from pathlib import Path

import pandas as pd
from scipy.special import stdtrit

from analysis.blocks import compute_sd_interval, fit_blocks
from analysis.load import StudyData
from analysis.reading import read_checked
from analysis.table import seed_values
from analysis.wording import count, decimals_of, interval, metric_phrase, number
from foresight.errors import RequestError
from foresight.estimates import CONFIDENCE
from foresight.manifest import ADDED, read_manifest
from foresight.power import estimate_noise
from foresight.runlog import RunLog

REPLICATE_COLUMNS = (
    "kind", "name", "metric", "n_trials", "n_seeds", "df", "sd", "low", "high", "largest", "residual_sd",
    "half_width", "margin", "n_test", "keys",
)  # fmt: skip
NOISIER = 3.0  # times the median arm's residual spread: an arm that is named
MOST_NAMED = 5
UNREAD = "not readable"


def build_replicates(data: StudyData) -> pd.DataFrame:
    """REPLICATE_COLUMNS: a row per configuration run more than once at a seed, the model's two, and one per arm.

    `sd` has its 95 % interval, of normal noise. `largest` is the largest difference of two trials that should be equal.
    `residual_sd` of an arm is its spread after the blocks are taken out. `half_width` is that of a 95 % interval of a
    paired difference at the claimed seeds, at the paired noise. A factorial has no rows per arm. Only trials that are known
    to be scored on the same images have blocks, and differences, in common.
    """
    values = seed_values(data, data.claim.primary)
    repeats, unread = read_repeats(data)
    rows = [_same_seed_row(str(name), mine) for name, mine in repeats.groupby("name", sort=False)]
    rows += [{"kind": UNREAD, "name": study, "n_trials": 0, "n_seeds": 0, "df": 0} for study in unread]
    rows += _model_rows(shared := values[values["key"].isin(data.comparable["key"])], data.claim.seeds)
    rows += [] if data.is_factorial else _arm_rows(data, values, shared)
    frame = pd.DataFrame(rows, columns=list(REPLICATE_COLUMNS))
    return frame.assign(metric=data.claim.primary, margin=data.claim.margin, n_test=data.n_tested)


def read_repeats(data: StudyData) -> tuple[pd.DataFrame, list[str]]:
    """Trials that should be equal, and the studies beside this one that cannot be read.

    The trials have `name`, `seed`, `key` and `value` of the primary metric; two rows or more per name and seed. Equal are
    trained trials on the same images whose every `config/` column agrees, under different names of this study or under the
    same key in a study beside it. Imported trials do not say all of their configuration, so none is used.
    """
    column = f"test/{data.claim.primary}"
    trained = data.complete[(data.complete["provenance"] == "trained") & data.complete[column].notna()]
    fields = [name for name in map(str, trained) if name.startswith("config/") and name != "config/seed"]
    if not fields:
        return pd.DataFrame(columns=["name", "seed", "key", "value"]), []
    varied = [name for name in fields if trained[name].nunique(dropna=False) > 1]
    group = trained.groupby(varied, dropna=False, sort=False).ngroup() if varied else pd.Series(0, index=trained.index)
    own = pd.DataFrame({"name": trained["arm"], "group": group, "seed": trained["seed"], "key": trained["key"]})
    own["value"] = trained[column].astype(float)
    elsewhere, unread = _elsewhere(data, trained, own)
    found = pd.concat([own, elsewhere], ignore_index=True)
    found["name"] = found.groupby("group")["name"].transform(lambda names: " = ".join(dict.fromkeys(names)))
    repeats = found[found.duplicated(["group", "seed"], keep=False)][["name", "seed", "key", "value"]]
    return repeats.reset_index(drop=True), unread


def compute_pooled_sd(values: pd.DataFrame) -> tuple[float, int, float]:
    """Standard deviation within each seed, pooled, its degrees of freedom, and the largest difference within one seed."""
    by_seed = values.groupby("seed")["value"]
    df = int((by_seed.size() - 1).sum())
    squares = float(((values["value"] - by_seed.transform("mean")) ** 2).sum())
    return math.sqrt(squares / df) if df else math.nan, df, float((by_seed.max() - by_seed.min()).max())


def describe_replicates(frame: pd.DataFrame) -> list[str]:
    """How far numbers repeat, and what that means for a difference between arms."""
    if frame.empty:
        return []
    metric, decimals = metric_phrase(frame["metric"].iloc[0]), decimals_of(frame["metric"].iloc[0]) + 1
    return [
        *_repeat_sentences(frame[frame["kind"] == "same seed"], metric, decimals),
        *[
            f"A file of the study {name} beside this one is damaged, so it is unknown whether it ran one of these trials again."
            for name in frame.loc[frame["kind"] == UNREAD, "name"]
        ],
        *_residual_sentences(frame, metric, decimals),
        *_arm_sentences(frame[frame["kind"] == "over seeds"], metric, decimals),
    ]


def _repeat_sentences(same: pd.DataFrame, metric: str, decimals: int) -> list[str]:
    if same.empty:
        return ["No configuration was run twice at one seed, so whether a trial repeats itself is not measured here."]
    exact = same[same["largest"] == 0]
    sentences = []
    if len(exact):
        names = "; ".join(exact["name"].head(MOST_NAMED))
        n = count(int(exact["n_trials"].sum()), "trial")
        sentences.append(f"Run more than once at one seed, with exactly the same {metric} ({n}): {names}.")
    for _, row in same[same["largest"] > 0].head(MOST_NAMED).iterrows():
        shown = f"{number(row['sd'], decimals)} {interval(row['low'], row['high'], decimals)}".strip()
        text = f"{row['name']} is one configuration, and at one seed its {metric} differs by up to"
        limit = "more than" if row["largest"] > row["margin"] else "within"
        basis = f"sd {shown}, {count(row['n_trials'], 'trial')}, {count(row['n_seeds'], 'seed')}"
        found = f"{text} {number(row['largest'], decimals)} ({basis}), {limit} the margin of {row['margin']:g}"
        sentences.append(f"{found}: no difference of that size between arms means anything.")
    return sentences


def _residual_sentences(frame: pd.DataFrame, metric: str, decimals: int) -> list[str]:
    kinds = {row["kind"]: row for row in frame.to_dict("records") if row["kind"] in ("paired", "residual", "block")}
    if "residual" not in kinds:
        return ["With one seed, or one arm, there is no residual noise to plan with."]
    sentences = []
    if "paired" in kinds:
        row = kinds["paired"]
        text = f"The noise to plan with, and what --plan takes: {metric} of an arm, as a difference from the baseline, moves "
        text += f"from seed to seed by sd {number(row['sd'], decimals)} ({row['name'].split(', ', 1)[1]}, brought to "
        text += "where such a median is expected)"
        wide = f"{number(row['half_width'], decimals)} to either side, with a margin of {row['margin']:g}"
        text += f". By a paired t over the claimed seeds that is a 95 % interval of {wide}"
        sentences.append(
            f"{text}; the verdicts' test also learns from the noise of other arms, and its intervals are often narrower."
        )
    row, block = kinds["residual"], kinds["block"]
    shown = f"{number(row['sd'], decimals)} {interval(row['low'], row['high'], decimals)}"
    text = f"Pooled over all arms, {metric} of a trial has sd {shown} (df {row['df']}) after its arm and its seed, and the seeds"
    shift = f"{number(block['sd'], decimals)}, which pairing takes out"
    return [*sentences, f"{text} shift all arms by sd {shift}."]


def _arm_sentences(arms: pd.DataFrame, metric: str, decimals: int) -> list[str]:
    measured = arms[arms["sd"].notna()]
    if measured.empty:
        return []
    low, middle, high = (number(float(measured["sd"].quantile(q)), decimals) for q in (0, 0.5, 1))
    sentences = [
        f"From seed to seed, {metric} of one arm has sd {middle} (median of {len(measured)} arms; {low} to {high})."
    ]
    typical = float(measured["residual_sd"].median())
    noisy = measured[measured["residual_sd"] > NOISIER * typical].sort_values("residual_sd", ascending=False)
    if len(noisy) and typical > 0:
        listed = ", ".join(
            f"{r['name']} ({number(r['residual_sd'], decimals)})" for _, r in noisy.head(MOST_NAMED).iterrows()
        )
        text = f"More than {NOISIER:g} times as noisy as the median arm after the blocks (sd {number(typical, decimals)}), so "
        text += f"they swell the pooled noise and it does not speak for them: {listed}."
        sentences.append(text)
    return sentences


def _same_seed_row(name: str, mine: pd.DataFrame) -> dict[str, object]:
    sd, df, largest = compute_pooled_sd(mine)
    low, high = compute_sd_interval(sd, df)
    row = {"kind": "same seed", "name": name, "n_trials": len(mine), "n_seeds": mine["seed"].nunique(), "df": df}
    return row | {"sd": sd, "low": low, "high": high, "largest": largest, "keys": " ".join(dict.fromkeys(mine["key"]))}


def _model_rows(values: pd.DataFrame, n_claimed: int) -> list[dict[str, object]]:
    if values.empty or (fit := fit_blocks(values)).df < 1:
        return []
    n_seeds, shift, rows = values["seed"].nunique(), float(fit.block_effects.std(ddof=1)), list[dict[str, object]]()
    if (paired := estimate_noise(values)) is not None:
        half_width = float(stdtrit(n_claimed - 1, 0.5 + CONFIDENCE / 2)) * paired.paired_sd / math.sqrt(n_claimed)
        name = f"differences from the baseline, by the median of the variances of {count(paired.n_arms, 'arm')}"
        row = {"kind": "paired", "name": name, "n_trials": len(values), "n_seeds": n_seeds, "sd": paired.paired_sd}
        rows.append(row | {"df": n_seeds - 1, "half_width": half_width})
    for kind, name, sd, df in (
        ("residual", "all arms, arm and seed taken out", fit.sd, fit.df),
        ("block", "what a seed does to all arms", shift, n_seeds - 1),
    ):
        low, high = compute_sd_interval(sd, df)
        row = {"kind": kind, "name": name, "n_trials": len(values), "n_seeds": n_seeds, "sd": sd}
        rows.append(row | {"df": df, "low": low, "high": high})
    return rows


def _arm_rows(data: StudyData, values: pd.DataFrame, shared: pd.DataFrame) -> list[dict[str, object]]:
    rows, n_arms = [], shared["arm"].nunique()
    residuals = fit_blocks(shared).residuals if n_arms > 1 else pd.Series(dtype=float)
    for arm in data.arms:
        mine = values[values["arm"] == arm]
        n = len(mine)
        sd = float(mine["value"].std(ddof=1)) if n > 1 else math.nan
        squares = float((residuals.reindex(mine.index) ** 2).sum(skipna=False))
        # Of A arms, the block effects take 1 / A of each residual's variance with them.
        own = math.sqrt(squares / ((n - 1) * (1 - 1 / n_arms))) if n > 1 and n_arms > 1 else math.nan
        low, high = compute_sd_interval(sd, n - 1)
        row = {"kind": "over seeds", "name": arm, "n_trials": n, "n_seeds": n, "df": max(n - 1, 0), "residual_sd": own}
        rows.append(row | {"sd": sd, "low": low, "high": high, "keys": " ".join(mine["key"])})
    return rows


def _elsewhere(data: StudyData, trained: pd.DataFrame, own: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Complete trials of the studies beside this one that ran the key of one of its trials again, on the same images.

    A damaged file of another study is no fault of this one: the study is named, and nothing of it is used.
    """
    by_key = own.set_index("key").join(trained.set_index("key")[["data/test_hash", "cost/train_s"]])
    rows, unread = [], []
    for manifest in sorted(data.log.root.parent.glob("*/manifest.parquet")):
        log = RunLog(manifest.parent)
        if log.root == data.log.root:
            continue
        try:
            planned = read_checked(partial(_keys_of, manifest.parent), [manifest, manifest.parent / ADDED])
            rows += _repeats_in(log, by_key, sorted(planned & set(by_key.index)), data.claim.primary)
        except RequestError:
            unread.append(log.root.name)
    return pd.DataFrame(rows, columns=["name", "group", "seed", "key", "value"]), unread


def _repeats_in(log: RunLog, by_key: pd.DataFrame, keys: list[str], metric: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for key in keys:
        path = log.trials_dir / key / "trial.parquet"
        if not path.exists():
            continue
        other, mine = read_checked(partial(log.read_trial, key), [path]), by_key.loc[key]
        value = other.get(f"test/{metric}")
        is_run = other.get("status") == "complete" and other.get("provenance") == "trained"
        # Two runs never take the same time to the last digit: a folder that was copied is no second run.
        is_copy = other.get("cost/train_s") is not None and other["cost/train_s"] == mine["cost/train_s"]
        if is_run and not is_copy and pd.notna(value) and other.get("data/test_hash") == mine["data/test_hash"]:
            row = {"name": f"{mine['name']} in {log.root.name}", "group": mine["group"], "seed": mine["seed"]}
            rows.append(row | {"key": key, "value": float(value)})
    return rows


def _keys_of(study: Path) -> set[str]:
    return set(read_manifest(study, ["key"])["key"])
