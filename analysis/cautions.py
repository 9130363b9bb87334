"""What a reader must know before believing a table: failures, inert arms, useless metrics, mixed logs.

In: a study and its ablation table. Out: a list of cautions, each a kind and a sentence made from stored values. What
makes a comparison impossible is not here: `analysis.load` refuses it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.load import StudyData
from analysis.table import seed_values
from analysis.wording import count, decimals_of, metric_phrase, number
from foresight.metrics import METRICS
from foresight.runlog import PROVENANCES
from foresight.space import BASELINE

MESSAGE_CHARACTERS = 300  # of a failed trial's message; the run log has the whole of it


@dataclass(frozen=True)
class Caution:
    kind: str
    text: str


def build_cautions(data: StudyData, table: pd.DataFrame) -> list[Caution]:
    """All cautions, those that concern the primary metric first."""
    return [
        *_trivial(data, table),
        *_inert_arms(data),
        *_seedless_arms(data, table),
        *_constant_metrics(data, table),
        *_unfinished_trials(data),
        *_mixed_log(data),
        *_undeclared(data),
    ]


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
    columns = [f"test/{metric}" for metric in data.metrics]
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


def _undeclared(data: StudyData) -> list[Caution]:
    found = []
    measured = [name.removeprefix("test/") for name in map(str, data.complete) if name.startswith("test/")]
    undeclared = [name for name in measured if name not in METRICS]
    if undeclared:
        found.append(Caution("undeclared", f"Not declared in METRICS and so left out: {', '.join(undeclared)}."))
    for metric in data.metrics:
        without = data.complete.loc[data.complete[f"test/{metric}"].isna(), "key"]
        if len(without):
            text = f"{count(len(without), 'complete trial')} without {METRICS[metric].label}: {', '.join(without)}."
            found.append(Caution("no_value", text))
    return found
