"""Cautions about the run log itself: what it lacks, what it mixes, what did not finish."""

from collections import Counter

import pandas as pd

from analysis.amendments import build_amendments, describe_amendments
from analysis.cautions.caution import MOST_NAMES, Caution, listed
from analysis.claim import without_claim
from analysis.imported import describe_lacking
from analysis.load import StudyData
from analysis.relative import written_ratios
from analysis.wording import count
from foresight.metrics import METRICS, RELATIVE_METRICS
from foresight.runlog import PROVENANCES, SCHEMA_VERSION

MESSAGE_CHARACTERS = 300  # of a failed trial's message; the run log has the whole of it
# What must be the same in all trials of a study, or a difference between arms may be a difference between machines.
SAME_EVERYWHERE = ("git_commit", "torch", "device", "threads", "workers", "lpips_trunk", "metric_ids")
# What a version of the schema brought that rows of an earlier one lack.
BROUGHT_BY = {
    2: "cost/budget_params, train/*",
    3: "share/*, latency/*, heldout/*",
    4: "data/val_hash, the hashes of its images",
}


def log_cautions(data: StudyData) -> list[Caution]:
    return [
        *_unfinished_trials(data),
        *_provenance(data),
        *_mixed_log(data),
        *(Caution("amended", text) for text in describe_amendments(build_amendments(data.sweep))),
        *(Caution("lacking", text) for text in describe_lacking(data)),
        *_without_claim(data),
        *_older_schema(data),
        *_mixed_environment(data),
        *_mixed_shares(data),
        *_mixed_latency(data),
        *_changed_metrics(data),
        *_undeclared(data),
        *_written_ratios(data),
    ]


def _unfinished_trials(data: StudyData) -> list[Caution]:
    found = []
    failed = data.trials[data.trials["status"] == "failed"]
    for row in failed.head(MOST_NAMES).to_dict("records"):
        error = row.get("error")
        message = " ".join(str(error).split()) if pd.notna(error) and str(error) else "no message was recorded"
        if len(message) > MESSAGE_CHARACTERS:
            message = message[:MESSAGE_CHARACTERS] + " …"
        found.append(
            Caution("failed", f"Trial {row['key']} ({row['arm']}, seed {row['seed']}) failed: {message}", (row["key"],))
        )
    if len(failed) > MOST_NAMES:
        per_arm = [f"{arm} ({n})" for arm, n in failed["arm"].value_counts().items()]
        text = f"{len(failed)} trials failed, {len(failed) - MOST_NAMES} of them not named here; most in "
        found.append(Caution("failed", f"{text}{listed(per_arm)}.", tuple(failed["key"])))
    stopped = tuple(data.trials.loc[data.trials["status"] == "stopped", "key"])
    if stopped:
        found.append(Caution("stopped", f"{count(len(stopped), 'trial')} stopped early and in no table.", stopped))
    return found


def _provenance(data: StudyData) -> list[Caution]:
    found = []
    counts = data.complete["provenance"].value_counts()
    of_all = f"of {len(data.complete)} complete trials"
    if "simulated" in counts:  # then there are no others: simulated trials share no table with others
        text = f"All {len(data.complete)} complete trials are simulated: no model was trained, so what the tables show was "
        found.append(Caution("simulated", f"{text}put in by whoever wrote them, and opens no gate."))
    if "imported" in counts:
        imported = tuple(data.complete.loc[data.complete["provenance"] == "imported", "key"])
        found.append(Caution("imported", f"{len(imported)} {of_all} were imported, not trained here.", imported))
    finished = data.trials[data.trials["status"] == "complete"]
    left_out = finished[~finished["key"].isin(data.complete["key"])]
    for known, rows in left_out.groupby(left_out["provenance"].isin(PROVENANCES)):
        origins = ", ".join(sorted(set(map(str, rows["provenance"]))))
        text = f"{count(len(rows), 'trial')} of provenance {origins} left out of every table"
        text += ", where others were trained." if known else "."
        found.append(Caution("provenance", text, tuple(rows["key"])))
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
            found.append(Caution("mixed", text, tuple(data.complete["key"])))
    unplanned = data.complete[~data.complete["key"].isin(data.planned["key"])]
    if len(unplanned):
        text = f"{count(len(unplanned), 'complete trial')} not in the manifest, so the plan is not known in full: "
        found.append(Caution("unplanned", f"{text}{listed(unplanned['key'])}.", tuple(unplanned["key"])))
    return found


def _without_claim(data: StudyData) -> list[Caution]:
    """Trials that a claim written afterwards could have been fitted to."""
    found = without_claim(data.complete)
    text = (
        f"{count(len(found), 'complete trial')} without the hash of a claim, so nothing shows that the claim was fixed "
    )
    keys = tuple(found["key"])
    return [Caution("no_claim_hash", f"{text}before them: {listed(keys)}.", keys)] if keys else []


def _older_schema(data: StudyData) -> list[Caution]:
    """Rows that an earlier version of this code wrote, or a hand: what they lack is empty, never assumed."""
    versions = data.complete.get("schema_version", pd.Series(index=data.complete.index, dtype=float))
    found = []
    for version in sorted(map(int, versions[versions < SCHEMA_VERSION].unique())):
        keys = tuple(data.complete.loc[versions == version, "key"])
        lacking = "; ".join(columns for brought, columns in BROUGHT_BY.items() if brought > version)
        text = f"{count(len(keys), 'complete trial')} written with schema version {version:g} of the run log (this code writes "
        text += f"{SCHEMA_VERSION}) and read as they are: what came later is empty ({lacking})"
        found.append(Caution("older_schema", f"{text}; only running them again fills it.", keys))
    without = tuple(data.complete.loc[versions.isna(), "key"])
    if without:
        text = f"{count(len(without), 'complete trial')} that state no schema version are read as version {SCHEMA_VERSION}."
        found.append(Caution("no_schema", text, without))
    return found


def _mixed_environment(data: StudyData) -> list[Caution]:
    found = []
    for name in SAME_EVERYWHERE:
        counts = data.complete.get(f"env/{name}", pd.Series(dtype=object)).dropna().value_counts()
        shown = "; ".join(f"{_plain(value)} in {count(n, 'trial')}" for value, n in counts.items())
        if len(counts) > 1:
            found.append(
                Caution("mixed", f"The complete trials differ in env/{name}: {shown}.", tuple(data.complete["key"]))
            )
        if name == "git_commit" and any(str(value).endswith("-dirty") for value in counts.index):
            text = "Code that was never committed made trials of this study, so they cannot be repeated from git"
            found.append(Caution("dirty", f"{text}: {shown}.", tuple(data.complete["key"])))
    return found


def _mixed_shares(data: StudyData) -> list[Caution]:
    """Times of trials that had different parts of a GPU, and so different neighbours, beside each other."""
    if "env/gpu_share" not in data.complete or data.complete["env/gpu_share"].isna().all():
        return []
    counts = data.complete["env/gpu_share"].astype(float).fillna(1.0).value_counts().sort_index(ascending=False)
    if len(counts) < 2:
        return []
    parts = zip((1 / counts.index.to_numpy()).round().astype(int), counts, strict=True)
    shown = "; ".join(f"{'a whole one' if k == 1 else f'1/{k}'} for {count(n, 'trial')}" for k, n in parts)
    text = f"The complete trials had different shares of a GPU ({shown}), so differences between arms in seconds "
    return [Caution("mixed_shares", f"{text}(cost/train_s, time ratios) may be those of what ran beside them.")]


def _mixed_latency(data: StudyData) -> list[Caution]:
    """Latencies that were not measured in one go: a resumed study, or an arm that was added."""
    rows = data.latency.reindex(columns=["measured", "host"])
    occasions = Counter(
        f"{time} on {host}" if pd.notna(time) else "an unknown occasion" for time, host in rows.itertuples(index=False)
    )
    if len(occasions) < 2:
        return []
    shown = "; ".join(f"{occasion} for {count(n, 'arm')}" for occasion, n in occasions.items())
    text = f"Latencies were measured on {len(occasions)} occasions ({shown}), so a difference between arms may be one "
    text += "between hours or machines; delete the study's folder latency/ and run its command to measure all at once."
    return [Caution("mixed", text)]


def _plain(value: object) -> str:
    """An integer that a gap in its column made a float reads as the integer."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _changed_metrics(data: StudyData) -> list[Caution]:
    """Numbers stored under another definition than the one this version of the code declares."""
    counts: Counter[str] = Counter()
    for stored, n in data.complete.get("env/metric_ids", pd.Series(dtype=object)).dropna().value_counts().items():
        counts.update(dict.fromkeys(str(stored).split(), int(n)))
    found = []
    for identity, n in counts.items():
        name = identity.split("/")[0]
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
            text = f"{count(len(without), 'complete trial')} without {METRICS[metric].label}: {listed(without)}."
            found.append(Caution("no_value", text, tuple(without)))
    return found


def _written_ratios(data: StudyData) -> list[Caution]:
    """Ratios that somebody wrote into rows: what they compare may never have been measured."""
    trials, found = data.trials[data.trials["key"].isin(data.complete["key"])], []
    for column in written_ratios(trials):
        n, source = int(trials[column].notna().sum()), METRICS[column.split("/")[-1]].compares
        text = f"{column} stands in {count(n, 'complete trial')} and is not read: a ratio counts only as computed here, from "
        found.append(Caution("written_ratio", f"{text}{source} of the arm and of the claim's reference."))
    return found
