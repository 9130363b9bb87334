"""What a reader must know before believing a table: failures, inert arms, useless metrics, mixed logs.

In: a study and its ablation table. Out: a list of cautions, each a kind and a sentence made from stored values. What
makes a comparison impossible is not here: `analysis.load` refuses it.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.amendments import build_amendments, describe_amendments
from analysis.imported import describe_lacking
from analysis.load import StudyData
from analysis.table import seed_values
from analysis.wording import count, decimals_of, metric_phrase, number
from foresight.metrics import METRICS, RELATIVE_METRICS
from foresight.runlog import PROVENANCES
from foresight.space import BASELINE

MESSAGE_CHARACTERS = 300  # of a failed trial's message; the run log has the whole of it
MOST_NAMES = 5  # arms or seeds that one caution names
# What must be the same in all trials of a study, or a difference between arms may be a difference between machines.
SAME_EVERYWHERE = ("git_commit", "torch", "device", "threads", "lpips_trunk", "metric_ids")


@dataclass(frozen=True)
class Caution:
    kind: str
    text: str


def build_cautions(data: StudyData, table: pd.DataFrame) -> list[Caution]:
    """All cautions, those that concern the primary metric first."""
    return [
        *_extra_seeds(data),
        *_still_improving(data),
        *_cut_short(data),
        *_trivial(data, table),
        *_inert_arms(data),
        *_seedless_arms(data, table),
        *_constant_metrics(data, table),
        *_unfinished_trials(data),
        *_mixed_log(data),
        *(Caution("amended", text) for text in describe_amendments(build_amendments(data))),
        *(Caution("lacking", text) for text in describe_lacking(data)),
        *_mixed_environment(data),
        *_mixed_latency(data),
        *_changed_metrics(data),
        *_undeclared(data),
    ]


def _extra_seeds(data: StudyData) -> list[Caution]:
    registered = data.registered_seeds
    if not registered:
        return [
            Caution("extra_seeds", "The manifest plans no seed, so no seed is registered and no arm has a verdict.")
        ]
    extra = sorted(set(data.complete["seed"].astype(int)) - set(registered))
    if not extra:
        return []
    text = f"Verdicts and differences use the registered seeds alone ({', '.join(map(str, registered))})"
    text += f": {count(len(extra), 'further complete seed')} ({_listed(map(str, extra))}) enter the means only"
    return [Caution("extra_seeds", f"{text}, since looking again after more seeds would raise the false-verdict rate.")]


def _still_improving(data: StudyData) -> list[Caution]:
    """Arms whose median validation metric gained more than the margin in the last epoch: not trained to the end."""
    column = f"val/{data.claim.primary}"
    if column not in data.curves:
        return []
    sign = 1 if METRICS[data.claim.primary].direction == "higher" else -1
    # Trial by trial, as trainings that end by a criterion have as many epochs as they need.
    gains = data.curves.sort_values("epoch").groupby(["arm", "seed"])[column].agg(_last_change).groupby("arm").median()
    named = []
    for arm in data.arms:
        gain = sign * gains.get(arm, math.nan)
        if gain > data.claim.margin:
            named.append(f"{arm} (by {number(gain, decimals_of(data.claim.primary) + 1)})")
    text = f"Training had not converged: the median validation {metric_phrase(data.claim.primary)} over seeds improved "
    text += f"by more than the margin of {data.claim.margin:g} between the last two epochs in {_listed(named)}."
    return [Caution("not_converged", text)] if named else []


def _last_change(values: pd.Series) -> float:
    return float(values.iloc[-1] - values.iloc[-2]) if len(values) > 1 else math.nan


def _cut_short(data: StudyData) -> list[Caution]:
    """Arms with trials that were to be trained until they converge and reached the most epochs allowed instead."""
    if "train/converged" not in data.complete:
        return []
    rows = data.complete[data.complete["train/converged"].astype(float) == 0]
    named = [f"{arm} ({count(n, 'trial')})" for arm, n in rows["arm"].value_counts(sort=False).items()]
    text = f"Training ended at the most epochs allowed and not by its criterion in {_listed(named)}."
    return [Caution("cut_short", text)] if named else []


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    more = len(shown) - MOST_NAMES
    return ", ".join(shown[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _trivial(data: StudyData, table: pd.DataFrame) -> list[Caution]:
    primary = table[table["role"] == "primary"]
    arms = primary[(primary["kind"] == "arm") & primary["mean"].notna()]
    metric, sign = data.claim.primary, 1 if METRICS[data.claim.primary].direction == "higher" else -1
    found = []
    for _, trivial in primary[(primary["kind"] == "trivial") & primary["mean"].notna()].iterrows():
        low = arms[sign * arms["mean"] <= sign * trivial["mean"]]
        if len(low):
            score = number(trivial["mean"], decimals_of(metric))
            named = ", ".join(f"{r['arm']} ({number(r['mean'], decimals_of(metric))})" for _, r in low.iterrows())
            text = f"No better than the trivial predictor {trivial['arm']} ({metric_phrase(metric)} {score}): {named}."
            found.append(Caution("trivial", text))
    return found


def _inert_arms(data: StudyData) -> list[Caution]:
    """Arms that repeat the baseline's numbers exactly: the factor does not reach the computation."""
    columns = [f"test/{metric}" for metric in data.metrics if metric not in RELATIVE_METRICS]
    wide = data.complete.set_index(["arm", "seed"])[columns]
    if BASELINE not in wide.index.get_level_values("arm"):
        return []
    baseline = wide.loc[BASELINE]
    inert = []
    for arm in data.arms:
        if arm == BASELINE or arm not in wide.index.get_level_values("arm"):
            continue
        mine = wide.loc[arm]
        shared = mine.index.intersection(baseline.index)
        if len(shared) and _same(mine.loc[shared], baseline.loc[shared]):
            inert.append(f"{arm} ({count(len(shared), 'seed')})")
    text = f"Exactly the baseline's numbers in every shared seed, so the factor changes nothing: {', '.join(inert)}."
    return [Caution("inert", text)] if inert else []


def _same(a: pd.DataFrame | pd.Series, b: pd.DataFrame | pd.Series) -> bool:
    return np.array_equal(a.to_numpy(dtype=float), b.to_numpy(dtype=float), equal_nan=True)


def _seedless_arms(data: StudyData, table: pd.DataFrame) -> list[Caution]:
    primary = table[(table["kind"] == "arm") & (table["role"] == "primary")]
    same = primary[(primary["n_seeds"] > 1) & (primary["low"] == primary["high"])]
    text = f"The same {metric_phrase(data.claim.primary)} in every seed, so the seed may not reach the trial: "
    return [Caution("same_in_every_seed", text + ", ".join(same["arm"]) + ".")] if len(same) else []


def _constant_metrics(data: StudyData, table: pd.DataFrame) -> list[Caution]:
    found = []
    for metric in data.metrics:
        values = seed_values(data, metric)["value"]
        if len(values) > 1 and values.nunique() == 1:
            shown = f"{METRICS[metric].label} is {number(values.iloc[0], decimals_of(metric))}"
            found.append(Caution("constant", f"{shown} in all {len(values)} trials, so it distinguishes nothing."))
    return found


def _unfinished_trials(data: StudyData) -> list[Caution]:
    found = []
    for _, row in data.trials[data.trials["status"] == "failed"].iterrows():
        error = row.get("error")
        message = " ".join(str(error).split()) if pd.notna(error) and str(error) else "no message was recorded"
        if len(message) > MESSAGE_CHARACTERS:
            message = message[:MESSAGE_CHARACTERS] + " …"
        found.append(Caution("failed", f"Trial {row['key']} ({row['arm']}, seed {row['seed']}) failed: {message}"))
    n_stopped = int((data.trials["status"] == "stopped").sum())
    if n_stopped:
        found.append(Caution("stopped", f"{count(n_stopped, 'trial')} stopped early and in no table."))
    return found


def _mixed_log(data: StudyData) -> list[Caution]:
    found = []
    for field, n in data.foreign_fields.items():
        declared = data.sweep.get("scale") if field == "scale" else data.sweep["space"]["baseline"][field]
        text = f"The run log also has {count(n, 'trial')} with another {field} than the declared {declared!r}"
        found.append(Caution("foreign", f"{text}; none of them is in a table."))
    for field in ("scale", "data.name", "data.fingerprint"):
        column = data.complete.get(f"config/{field}")
        if column is not None and column.nunique() > 1:
            text = f"The tables mix trials with different {field}: {', '.join(map(repr, column.unique()))}."
            found.append(Caution("mixed", text))
    imported = int((data.complete["provenance"] == "imported").sum())
    if imported:
        found.append(
            Caution("imported", f"{imported} of {len(data.complete)} complete trials were imported, not trained here.")
        )
    unknown = data.trials[(data.trials["status"] == "complete") & ~data.trials["provenance"].isin(PROVENANCES)]
    if len(unknown):
        origins = ", ".join(sorted(set(map(str, unknown["provenance"]))))
        found.append(
            Caution("provenance", f"{count(len(unknown), 'trial')} of provenance {origins} left out of every table.")
        )
    unplanned = data.complete[~data.complete["key"].isin(data.planned["key"])]
    if len(unplanned):
        text = f"{count(len(unplanned), 'complete trial')} not in the manifest, so the plan is not known in full: "
        found.append(
            Caution(
                "unplanned", text + ", ".join(unplanned["key"].head(3)) + (" …" if len(unplanned) > 3 else "") + "."
            )
        )
    return found


def _mixed_environment(data: StudyData) -> list[Caution]:
    found = []
    for name in SAME_EVERYWHERE:
        counts = data.complete.get(f"env/{name}", pd.Series(dtype=object)).dropna().value_counts()
        listed = "; ".join(f"{_plain(value)} in {count(n, 'trial')}" for value, n in counts.items())
        if len(counts) > 1:
            found.append(Caution("mixed", f"The complete trials differ in env/{name}: {listed}."))
        if name == "git_commit" and any(str(value).endswith("-dirty") for value in counts.index):
            text = "Code that was never committed made trials of this study, so they cannot be repeated from git"
            found.append(Caution("dirty", f"{text}: {listed}."))
    return found


def _mixed_latency(data: StudyData) -> list[Caution]:
    """Latencies that were not measured in one go: a resumed study, or an arm that was added."""
    rows = data.latency.reindex(columns=["measured", "host"])
    occasions = Counter(
        f"{time} on {host}" if pd.notna(time) else "an unknown occasion" for time, host in rows.itertuples(index=False)
    )
    if len(occasions) < 2:
        return []
    listed = "; ".join(f"{occasion} for {count(n, 'arm')}" for occasion, n in occasions.items())
    text = f"Latencies were measured on {len(occasions)} occasions ({listed}), so a difference between arms may be one "
    text += "between hours or machines; delete the study's folder latency/ and run its command to measure all at once."
    return [Caution("mixed", text)]


def _plain(value: object) -> str:
    """An integer that a gap in its column made a float reads as the integer."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _changed_metrics(data: StudyData) -> list[Caution]:
    """Numbers stored under another definition than the one this version of the code declares."""
    stored = data.complete.get("env/metric_ids", pd.Series(dtype=object)).dropna().str.split().explode()
    found = []
    for identity, n in stored.value_counts(sort=False).items():
        name = str(identity).split("/")[0]
        if name in METRICS and identity != METRICS[name].id:
            text = f"The metric definition has changed: {count(n, 'trial')} measured {identity}"
            found.append(Caution("metric_changed", f"{text}, and this code declares {METRICS[name].id}."))
    return found


def _undeclared(data: StudyData) -> list[Caution]:
    found = []
    measured = [name.removeprefix("test/") for name in map(str, data.complete) if name.startswith("test/")]
    undeclared = [name for name in measured if name not in METRICS]
    if undeclared:
        found.append(Caution("undeclared", f"Not declared in METRICS and so left out: {', '.join(undeclared)}."))
    for metric in [name for name in data.metrics if name not in RELATIVE_METRICS]:
        without = data.complete.loc[data.complete[f"test/{metric}"].isna(), "key"]
        if len(without):
            text = f"{count(len(without), 'complete trial')} without {METRICS[metric].label}: {', '.join(without)}."
            found.append(Caution("no_value", text))
    return found
