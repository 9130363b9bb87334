"""`python -m foresight.tuning.export_tensorboard runs/<study>`: a study's finished trials as TensorBoard event files.

Written from the run log and never read back: curves by epoch, the config and the validation metrics in the table of
hyperparameters. Test values stay in the run log: who watches must not choose by them. A trial that is there is not written
again, so the command may be repeated while a study runs. Exit codes: 0 done, 2 the request is wrong (one sentence).
"""

import math
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from filelock import FileLock, Timeout
from rich.progress import track
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.summary import hparams, scalar

from foresight.errors import RequestError
from foresight.run_folder import open_study_log
from foresight.runlog import RunLog
from foresight.tuning.preflight import check_readable

CURVES = ("train/", "val/")  # columns of an epoch that are shown
MEASURED = "val/"  # columns of a trial in the table of hyperparameters

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def export_trials(log: RunLog, logdir: Path) -> tuple[int, int]:
    """Writes `<logdir>/<study>/<arm>/seed-<n>/<key>.<attempt>/` for each finished trial, the arm in letters that a path may have.

    Returns how many there are, and how many of them are new.

    Raises RequestError for a run log that holds no study or cannot be read, and for a folder that cannot be written.
    """
    if not (log.root / "sweep.json").is_file():
        raise RequestError(f"'{log}' holds no study: it has no sweep.json; name a folder such as runs/p2_ablations")
    check_readable(log)
    trials = log.trials()
    folders = {
        key: logdir / log.root.name / in_a_path(str(arm)) / f"seed-{seed}" / f"{key}.{attempt}"
        for key, arm, seed, attempt in trials[["key", "arm", "seed", "attempt"]].itertuples(index=False)
    }
    new = trials[[not folders[key].exists() for key in trials["key"]]]
    epochs = dict(iter(log.epochs().groupby("key", observed=True))) if len(new) else {}
    study = logdir / log.root.name
    try:
        study.mkdir(parents=True, exist_ok=True)
        with FileLock(study / ".lock", timeout=0):
            for _, row in track(
                new.iterrows(), "writing trials", total=len(new), transient=True, disable=len(new) < 100
            ):
                known = {str(name): value for name, value in row.dropna().items()}
                write_events(folders[row["key"]], known, epochs.get(row["key"], pd.DataFrame()))
    except Timeout as error:
        raise RequestError(f"another process writes to '{study}' at this moment; run the command again") from error
    except OSError as error:
        raise RequestError(
            f"'{logdir}' cannot be written ({error.strerror or error}); name another --logdir"
        ) from error
    return len(trials), len(new)


def in_a_path(arm: str) -> str:
    """An arm's name as one folder's: an imported study may name its arms in any way."""
    return re.sub(r"[^\w.=+-]+", "-", arm).strip("-.") or "arm"


def write_events(folder: Path, row: Mapping[str, Any], epochs: pd.DataFrame) -> None:
    """One trial, whole: what was left of an earlier attempt, or of a command that died, goes first."""
    half = folder.with_name(f".{folder.name}")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    config = {name.removeprefix("config/"): value for name, value in row.items() if name.startswith("config/")}
    measured = {name: float(value) for name, value in row.items() if name.startswith(MEASURED)}
    passed_s = epochs["wall_s"] if "wall_s" in epochs else pd.Series(0.0, index=epochs.index)
    ended = pd.to_datetime(str(row.get("env/ended", "")), utc=True, errors="coerce", format="ISO8601")
    ended_at = time.time() if pd.isna(ended) else ended.timestamp()
    began = ended_at - (passed_s.max() if len(epochs) else 0.0)  # to a second or so: testing comes after the last
    writer = EventsWriter(str(half / "events"))  # SummaryWriter's thread takes a third of a second to end
    for summary in hparams({**config, "arm": row["arm"], "status": row["status"]}, measured):
        writer.write_event(Event(wall_time=began, summary=summary))
    for after_s, values in zip(passed_s, epochs.to_dict("records"), strict=True):
        for name, value in values.items():
            if str(name).startswith(CURVES) and not math.isnan(value):
                at = {"wall_time": began + after_s, "step": int(values["epoch"])}
                writer.write_event(Event(summary=scalar(str(name), value), **at))
    writer.close()
    for earlier in folder.parent.glob(f"{row['key']}.*"):
        shutil.rmtree(earlier)
    half.rename(folder)


@app.command()
def main(
    folder: Annotated[str, typer.Argument(help="A study's run log: runs/p2_ablations, s3://bucket/runs/p2_ablations.")],
    logdir: Annotated[Path, typer.Option(help="Where the event files go, in a folder of the study's name.")] = Path(
        "tensorboard"
    ),
) -> None:
    """Writes a study's finished trials for TensorBoard."""
    try:
        n_trials, n_new = export_trials(open_study_log(folder), logdir)
    except RequestError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{n_trials} finished trials, {n_new} of them new; next: uvx tensorboard --logdir {logdir}")


if __name__ == "__main__":
    app()
