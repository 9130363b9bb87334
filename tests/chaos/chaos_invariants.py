"""What must hold after any fault beyond `foresight.verify`: what is finished stays as it is, and no number differs."""

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from foresight.runlog import RunLog
from foresight.tuning.sweep import RETRIES
from foresight.verify import find_faults, find_unfinished

# Of a row: when, where and how often it was run. Everything else must be the same bits.
OF_THE_RUN = ("env/", "cost/train_s", "cost/trial_s", "cost/gpu_s", "cost/peak_memory_mb", "attempt")
WALL = "wall_s"  # the one column of epochs.parquet that is time

Identity = dict[str, tuple[int, int, int]]  # file of a trial's folder -> inode, time and size


class Ledger:
    """Looks at a run log again and again, also while it is written: a complete trial may never change or go."""

    def __init__(self, log: RunLog):
        self.log = log
        self.rows: dict[str, tuple[int, int, int]] = {}  # of every finished trial, its row's file
        self.complete: dict[str, Identity] = {}
        self.failures: dict[str, set[tuple[int, int, int]]] = defaultdict(set)
        self.broken: list[str] = []

    def look(self) -> None:
        """Adds to `broken` what has changed that may not."""
        now = {path.parent.name: stat for path in self.log.trials_dir.glob("*/trial.parquet") if (stat := _stat(path))}
        for key in self.complete:
            if now.get(key) != self.complete[key]["trial.parquet"]:
                self._say(f"{key}: was complete, and its row was {'rewritten' if key in now else 'removed'}")
        for key, stat in now.items():
            if self.rows.get(key) != stat:
                self._take(key, stat)

    def look_at_files(self) -> None:
        """The same for every file of a complete trial; of commands that have ended."""
        self.look()
        for key, files in self.complete.items():
            if _identity(self.log.trials_dir / key) != files:
                self._say(f"{key}: was complete, and its files were written again")

    def _take(self, key: str, stat: tuple[int, int, int]) -> None:
        directory = self.log.trials_dir / key
        try:
            (row,) = pq.read_table(directory / "trial.parquet", columns=["status", "attempt"]).to_pylist()
        except FileNotFoundError:  # replaced at this moment
            return
        self.rows[key] = stat
        if row["status"] == "failed":
            self.failures[key].add(stat)
        elif key not in self.complete:
            self.complete[key] = _identity(directory)
            # A process that is lost is replaced by itself, a number of times before that is a failed row.
            least = 1 + len(self.failures[key])
            if not least <= row["attempt"] <= least * (1 + RETRIES):
                self._say(f"{key}: attempt {row['attempt']} after {len(self.failures[key])} failures")

    def _say(self, sentence: str) -> None:
        if sentence not in self.broken:
            self.broken.append(sentence)


class Truth:
    """The numbers of each trial as they were first seen: those of the undisturbed run, where it has the trial."""

    def __init__(self) -> None:
        self.trials: dict[str, dict[str, Any]] = {}
        self.entries: dict[str, Any] = {}  # checksums of the feature cache

    def compare(self, log: RunLog, cache: Path) -> list[str]:
        """What differs from it; what is new is taken in."""
        found = []
        for key in sorted(log.finished()):
            facts = read_facts(log, key)
            known = self.trials.setdefault(key, facts)
            differ = sorted(name for name in known | facts if known.get(name) != facts.get(name))
            if differ:
                found.append(f"{key}: {', '.join(differ[:4])} differ from those of the undisturbed run")
        for path in sorted(cache.glob("*/meta.json")):
            checksums = json.loads(path.read_text())["sha256"]
            if self.entries.setdefault(path.parent.name, checksums) != checksums:
                found.append(f"the cached {path.parent.name} differs from that of the undisturbed run")
        return found


def read_facts(log: RunLog, key: str) -> dict[str, Any]:
    """All of a finished trial that does not depend on when and where it ran, exactly: by column, and by file."""
    directory = log.trials_dir / key
    row = log.read_trial(key)
    facts: dict[str, Any] = {
        name: repr(value) for name, value in row.items() if not name.startswith(OF_THE_RUN) and value is not None
    }
    for path in sorted(directory.glob("[!.]*")):
        if path.name == "epochs.parquet":
            facts[path.name] = _content(pq.read_table(path).drop_columns(WALL))
        elif path.name == "samples.parquet":
            facts[path.name] = _content(pq.read_table(path))
        elif path.name != "trial.parquet":
            facts[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return facts


def faults_now(log: RunLog) -> list[str]:
    """What `foresight.verify` says of a run log at any moment; nothing of one that has not begun."""
    return list(find_faults(log)) if (log.root / "sweep.json").exists() else []


def faults_at_the_end(log: RunLog, undisturbed: RunLog) -> list[str]:
    """What is missing of a study whose command has ended well."""
    found = [*faults_now(log), *find_unfinished(log)]
    rows, planned = log.trials(), log.read_manifest()["key"].tolist()
    if sorted(rows["key"]) != sorted(planned):
        found.append(f"{len(planned)} trials are planned and {len(rows)} recorded")
    found += [f"{row.key} ended as {row.status}" for row in rows.itertuples() if row.status != "complete"]
    expected = undisturbed.read_manifest()["key"].tolist()
    # What a search proposes depends on which trials had ended by then.
    same = len(planned) == len(expected) if is_search(log) else sorted(planned) == sorted(expected)
    if not same:
        found.append("other trials are planned than in the undisturbed run")
    latency, arms = log.read_latency(), set(log.read_manifest()["arm_key"])
    if sorted(latency.get("arm_key", ())) != sorted(arms):
        found.append(f"{len(latency)} latencies are measured of {len(arms)} arms")
    claims = sorted(path.name for path in (log.root / ".driver").glob("*"))
    if claims:
        found.append(f"a claim is left by a command that has ended: {', '.join(claims)}")
    left = sorted(path.name for path in (log.root / ".running").rglob("*") if path.is_file())
    if left:
        found.append(f"of trials that have ended there is left: {', '.join(left)}")
    return found


def is_search(log: RunLog) -> bool:
    return (log.read_sweep() or {})["space"]["design"] == "search"


def _content(table: pa.Table) -> str:
    return repr(table.to_pydict())


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _identity(directory: Path) -> Identity:
    return {path.name: stat for path in directory.glob("[!.]*") if (stat := _stat(path))}
