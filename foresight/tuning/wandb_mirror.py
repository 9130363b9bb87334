"""`python -m foresight.tuning.wandb_mirror runs/<study>`: shows a study's finished trials in Weights & Biases.

A trial is sent when it has ended, whole, from its record in the run log, and is then marked as sent. So no step comes twice,
however often the trial, its driver or this command died and ran again; and as no trial's process knows of W&B, it can
neither fail nor hold up one. Test values stay here: who watches must not choose by them.

Exit codes: 0 every finished trial is sent, 1 some are not (one line says why), 2 the request is wrong.
"""

import os
import select
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from filelock import FileLock, Timeout

from foresight.errors import RequestError
from foresight.redaction import redact
from foresight.run_folder import open_study_log
from foresight.runlog import RunLog
from foresight.tuning.preflight import check_readable

SHOWN = ("val/", "train/", "cost/")  # prefixes of the row's columns that a run's summary has
LOOK_EVERY_S = 5.0
RETRY_EVERY_S = 300.0  # after W&B has refused a trial
LOCK_S = 60.0  # for the process of a driver that was killed: it sends what is there, and ends
MARKS = "wandb/sent"  # in the run log: one empty file for each trial that was sent, `<key>.<attempt>`
SENT = "sent "  # begins a line for the driver: there is progress

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class WandbMirror:
    """Sends what is finished and not yet sent. W&B's own files are in `runs/<study>/wandb` of this machine."""

    def __init__(self, log: RunLog):
        self.log, self.folder = log, log.root / "wandb"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.marks = log.files.shared  # of an object store every machine must know what was sent
        self.sent = dict(sorted(filter(None, map(read_mark, self.marks.listing(MARKS)))))  # the last attempt wins
        self.seen: dict[str, str] = {}  # the finished trials, when all of them were sent
        self.offline = False

    def unsent(self) -> list[dict[str, Any]]:
        """Rows of trials that ended and were not sent in this attempt."""
        finished = self.log.finished()
        if finished == self.seen:
            return []
        trials = self.log.trials(finished)
        ours = trials[trials["provenance"] == "trained"]
        new = ours[[self.sent.get(key) != attempt for key, attempt in zip(ours["key"], ours["attempt"], strict=True)]]
        if new.empty:
            self.seen = finished
        return [{str(name): value for name, value in row.dropna().items()} for _, row in new.iterrows()]

    def send(self, row: dict[str, Any]) -> None:
        """One trial as one W&B run. Raises what W&B raises; then nothing is marked, and it is sent again from the start."""
        key = row["key"]
        for left in self.folder.glob(f"*run-????????_??????-{key}"):  # of one that died half-way or was refused
            shutil.rmtree(left)
        self.offline = write_run(row, self.log.read_epochs(key).to_dict("records"), self.log.root)
        self.marks.write(f"{MARKS}/{key}.{row['attempt']}", b"")
        self.sent[key] = row["attempt"]


def read_mark(name: str) -> tuple[str, int] | None:
    """The trial and its attempt that a mark is of; None for a file that is no mark."""
    key, _, attempt = name.rpartition(".")
    return (key, int(attempt)) if key and attempt.isdecimal() else None


def write_run(row: dict[str, Any], epochs: list[dict[Any, Any]], folder: Path) -> bool:
    """project = study, group = sweep, job type = kind of trial, name = arm/seed, id = key, the step metric is `epoch`.

    Returns whether it was written here, for `wandb sync` (WANDB_MODE=offline).
    """
    os.environ["WANDB_SILENT"] = "true"  # W&B says things before it reads its settings
    import wandb

    run = wandb.init(
        project=folder.name,
        group=row["sweep"],
        job_type=row.get("config/task", "trial"),
        name=f"{row['arm']}/{row['seed']}",
        id=row["key"],
        resume="allow",
        dir=folder,
        config={name.removeprefix("config/"): value for name, value in row.items() if name.startswith("config/")},
        # What W&B collects by itself (command line, host, packages, changes of the code) is in the run log, or stays here.
        settings=wandb.Settings(
            console="off",
            silent=True,
            symlink=False,
            disable_git=True,
            disable_code=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
            init_timeout=30,
            finish_timeout=60,
            finish_timeout_raises=True,
        ),
    )
    if run.disabled:
        raise RuntimeError("WANDB_MODE is 'disabled'")
    try:
        run.define_metric("epoch")
        run.define_metric("*", step_metric="epoch")
        for values in epochs:
            if values["epoch"] >= run.starting_step:  # one that died half-way has sent those before
                run.log(values, step=int(values["epoch"]))
        run.summary.update({name: value for name, value in row.items() if name.startswith(SHOWN)})
        run.summary.update({"status": row["status"], "attempt": row["attempt"], "error": redact(row.get("error", ""))})
    except BaseException:
        run.finish(exit_code=1)
        raise
    offline = bool(run.offline)
    run.finish(exit_code=1 if row["status"] == "failed" else 0)
    return offline


def send_all(mirror: WandbMirror, say: Callable[[str], None]) -> str | None:
    """Sends what is not sent. Returns None, or why it ended before the last."""
    try:
        for row in mirror.unsent():
            mirror.send(row)
            say(f"{SENT}{row['key']}")
    except Exception as error:
        return redact(f"{type(error).__name__}: {' '.join(str(error).split())}")[:300]
    return None


def follow(mirror: WandbMirror, say: Callable[[str], None], ended: Callable[[float], bool]) -> str | None:
    """Sends trials as they end, until `ended(seconds to wait)`; a refusal is said once, and tried again later."""
    said = False
    pause = LOOK_EVERY_S
    while not ended(pause):
        refused = send_all(mirror, say)
        if refused and not said:
            say(f"W&B takes no trial ({refused}); the sweep goes on, and it is tried again every few minutes")
            said = True
        pause = RETRY_EVERY_S if refused else LOOK_EVERY_S
    return send_all(mirror, say)


@app.command()
def main(
    folder: Annotated[str, typer.Argument(help="A study's run log: runs/p2_ablations, s3://bucket/runs/p2_ablations.")],
    following: Annotated[
        bool, typer.Option("--follow", help="Go on as trials end, until standard input is closed.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="With --follow: of the object store that the folder is a copy of.")
    ] = None,
) -> None:
    """Shows a study's finished trials in Weights & Biases."""
    try:
        # A driver names its own copy, and keeps it up to date itself.
        log = RunLog(Path(folder), url) if following else open_study_log(folder)
        if not following and not (log.root / "sweep.json").is_file():
            raise RequestError(
                f"'{folder}' holds no study: it has no sweep.json; name a folder such as runs/p2_ablations"
            )
        check_readable(log)
        mirror = WandbMirror(log)
        with FileLock(mirror.folder / ".lock", timeout=LOCK_S if following else 0):
            refused = follow(mirror, _say, _input_closed) if following else send_all(mirror, _say)
            n_left = len(mirror.unsent())
    except (RequestError, Timeout) as error:
        taken = f"the trials of {folder} are being sent to W&B by another process"
        typer.echo(taken if isinstance(error, Timeout) else redact(str(error)), err=not following)
        raise typer.Exit(2) from error
    except OSError as error:  # a full disk, a store that does not answer
        _say(
            f"W&B: nothing can be sent from {log} ({redact(str(error))}); python -m foresight.tuning.wandb_mirror {log} sends it"
        )
        raise typer.Exit(1) from error
    if refused:
        again = f"python -m foresight.tuning.wandb_mirror {log}"
        _say(
            f"W&B: {len(mirror.sent)} trials of {log.root.name} are sent and {n_left} are not ({refused}); {again} sends them"
        )
        raise typer.Exit(1)
    where = f"written to {mirror.folder}, for wandb sync" if mirror.offline else "sent"
    _say(f"W&B: all {len(mirror.sent)} finished trials of {log.root.name} are {where}")


def _say(line: str) -> None:
    print(line, flush=True)


def _input_closed(seconds: float) -> bool:
    """Whether standard input was closed within that time: the driver has ended, by itself or killed."""
    return bool(select.select([sys.stdin], [], [], seconds)[0]) and not sys.stdin.readline()


if __name__ == "__main__":
    app()
