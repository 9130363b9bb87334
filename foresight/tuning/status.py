"""`python -m foresight.tuning.status runs/<study>`: how a sweep stands, read from its run log alone.

So it works while the sweep runs, after it died, and on any machine that sees the folder or a copy of it. When a trial ended is
what its row says; rows that do not say (imported, or of an earlier version) give no time. Exit codes: 0 done, 2 the request is
wrong (one sentence).
"""

import json
import time
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from statistics import median
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Console

from foresight.errors import RequestError, StorageError
from foresight.redaction import redact
from foresight.run_folder import open_study_log
from foresight.runlog import RunLog
from foresight.storage.lease import BEAT_S, read_claims
from foresight.tuning.preflight import check_readable
from foresight.tuning.progress import clock
from foresight.tuning.recorded import is_adopted
from foresight.tuning.search_left import count_left

RECENT = 20  # finished trials that the throughput is of
QUIET_SHARE = 5  # times the usual gap between two trials without one: the sweep may hang, and the reader is told
MOST_KEYS = 3  # of a failure's trials that are listed
START_S = 120.0  # that a command may take before its first trials begin

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Failure:
    """Failed trials with the same first line of their error."""

    cause: str
    keys: list[str]


@dataclass(frozen=True)
class Status:
    """Counts are of planned trials, of a search those that it may come to. Times are None where too few ended to tell."""

    study: str
    scale: str
    planned: int
    complete: int
    failed: int
    stopped: int
    left: int  # neither: they wait, run, or died half-way
    at_most: bool  # a search: how many trials it takes is only known on the way
    driver: str
    n_recent: int  # the last trials, from one's end to the next, that the throughput is of
    trials_per_hour: float | None
    left_s: float | None
    quiet_s: float | None  # since the last trial ended, and the driver has had time for its first
    usual_gap_s: float | None
    untimed: int = 0  # recorded trials that do not say when they ended
    failures: list[Failure] = field(default_factory=list)


def read_status(log: RunLog, now: float) -> Status:
    """How the study stands at the time `now` (seconds since 1970). Raises RequestError for a folder that holds none."""
    if not (log.root / "sweep.json").is_file():
        raise RequestError(f"'{log}' holds no study: it has no sweep.json; name a folder such as runs/p2_ablations")
    check_readable(log)
    sweep = log.read_sweep() or {}
    manifest = log.read_manifest()
    trials = log.trials()
    trials = trials[trials["key"].isin(set(manifest["key"]))]
    counts = Counter(trials["status"])
    search = (sweep.get("space") or {}).get("search")
    left = count_left(search, manifest, trials) if search else len(manifest) - len(trials)
    own = trials[~is_adopted(trials)]  # another study's trials ended in that study's time
    times = _ended(own)
    ended = times[-RECENT - 1 :]
    gaps = _without_pauses([after - before for before, after in pairwise(ended)], own)
    span = sum(gaps)
    return Status(
        study=str(sweep.get("study", log.root.name)),
        scale=str(sweep.get("scale", "")),
        planned=len(trials) + left,
        complete=counts["complete"],
        failed=counts["failed"],
        stopped=counts["stopped"],
        left=left,
        at_most=search is not None and left > 0,
        driver=_describe_driver(log, now),
        n_recent=len(gaps),
        trials_per_hour=3600 * len(gaps) / span if span > 0 else None,
        left_s=left * span / len(gaps) if span > 0 else None,
        quiet_s=max(0.0, now - max(ended[-1], _began(log) + START_S)) if ended else None,
        usual_gap_s=median(gaps) if gaps else None,
        untimed=len(own) - len(times),
        failures=_failures(trials[trials["status"] == "failed"]),
    )


def describe(status: Status) -> list[str]:
    """The status as lines for a person."""
    scale, most = f", {status.scale} scale" if status.scale else "", "at most " * status.at_most
    stopped = f", {status.stopped} stopped early" if status.stopped else ""
    lines = [
        f"{status.study}{scale}: {status.complete} of {most}{status.planned} trials complete, {status.failed} "
        f"failed{stopped}, {most}{status.left} left",
        f"driver: {status.driver}",
    ]
    if status.trials_per_hour is not None and status.left_s is not None:
        rate = f"throughput: {status.trials_per_hour:,.0f} trials an hour over the last {status.n_recent}"
        lines.append(rate + (f"; at that rate {most}{clock(status.left_s)} left" if status.left else ""))
    if status.untimed:
        lines.append(f"times: {status.untimed} of the recorded trials do not say when they ended, and are in no rate")
    quiet_s, gap_s = status.quiet_s, status.usual_gap_s
    if status.left and quiet_s is not None and gap_s is not None and quiet_s > QUIET_SHARE * gap_s:
        lines.append(f"quiet: no trial has ended for {clock(quiet_s)}, where one usually does every {clock(gap_s)}")
    for failure in status.failures:
        more = f" and {len(failure.keys) - MOST_KEYS} more" if len(failure.keys) > MOST_KEYS else ""
        lines.append(f"{len(failure.keys)} failed: {failure.cause} ({', '.join(failure.keys[:MOST_KEYS])}{more})")
    return lines


def _ended(trials: pd.DataFrame) -> list[float]:
    """When the trials ended that say it, in seconds since 1970, in order."""
    said = trials.get("env/ended", pd.Series(dtype=object)).dropna()
    times = pd.to_datetime(said, utc=True, errors="coerce", format="ISO8601").dropna()  # what is no time tells none
    return sorted(time.timestamp() for time in times)


def _without_pauses(gaps: list[float], trials: pd.DataFrame) -> list[float]:
    """Times from one end to the next in which trials ran: no such gap is longer than a trial and the start of a command."""
    took = trials.get("cost/trial_s", pd.Series(dtype=float)).max()
    return gaps if pd.isna(took) else [gap for gap in gaps if gap <= 2 * took + START_S]


def _failures(failed: Any) -> list[Failure]:
    """The commonest cause first."""
    by_cause: dict[str, list[str]] = defaultdict(list)
    for key, error in failed[["key", "error"]].itertuples(index=False):
        lines = str(error or "").strip().splitlines()
        by_cause[lines[0] if lines else "no message was recorded"].append(str(key))
    return [Failure(cause, keys) for cause, keys in sorted(by_cause.items(), key=lambda item: -len(item[1]))]


def _began(log: RunLog) -> float:
    """When the driver that writes the folder now began, in seconds since 1970; 0 where none does."""
    standing = next(iter(read_claims(log.files.shared).values()), None)
    return standing.holder.began.timestamp() if standing is not None else 0.0


def _describe_driver(log: RunLog, now: float) -> str:
    """The driver that writes the folder now, or died while it did, which only its own machine can tell.

    From another machine there is its last sign of life, which in a copy of the folder is as old as the copy.
    """
    standing = next(iter(read_claims(log.files.shared).values()), None)
    if standing is None:
        return "none is running"
    holder, lives = standing.holder, standing.holder.lives()
    name = f"pid {holder.pid} on {holder.host}, since {holder.since}"
    if lives is None:
        silent = clock(max(0.0, now - standing.sign_ns / 1e9))
        return f"{name}; its last sign of life, of one every {BEAT_S:.0f} s, is {silent} old"
    return f"{name}, running" if lives else f"{name}, ended"


@app.command()
def main(
    folder: Annotated[str, typer.Argument(help="A study's run log: runs/p2_ablations, s3://bucket/runs/p2_ablations.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print it for machines.")] = False,
) -> None:
    """How a sweep stands: trials, throughput, time left, failures with their causes."""
    try:
        status = read_status(open_study_log(folder), time.time())
    except RequestError as error:
        typer.echo(redact(str(error)), err=True)
        raise typer.Exit(2) from error
    except StorageError as error:
        typer.echo(redact(str(error)), err=True)
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(json.dumps(asdict(status), indent=2))
        return
    console = Console(highlight=False)
    for line in describe(status):
        console.print(line, markup=False, soft_wrap=True)


if __name__ == "__main__":
    app()
