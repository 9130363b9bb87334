"""`python -m foresight.tuning.export_optuna runs/<search> --storage sqlite:///search.db`: a search as a stored Optuna study.

For optuna-dashboard and for whoever knows Optuna: it is written from the run log and never read back. A storage is a URL
(`sqlite:///FILE`), or the path of a journal file. Exit codes: 0 done, 2 the request is wrong (one sentence).
"""

import json
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import optuna
import typer
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FixedTrial, FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from foresight.dimensions import Dimension, from_json, widen
from foresight.errors import RequestError, StorageError
from foresight.proposal_space import ProposalSpace
from foresight.redaction import redact
from foresight.run_folder import open_study_log
from foresight.runlog import RunLog
from foresight.tuning.preflight import check_readable
from foresight.tuning.recorded import Recorded, by_arm, outcome_of, read_recorded
from foresight.tuning.search import Objective
from foresight.tuning.search_record import number_of
from foresight.tuning.search_study import suggest

STATES = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def export_study(log: RunLog, storage: str | BaseStorage) -> optuna.Study:
    """Writes the search of a run log as a new study, named after it. A trial is a proposal, its values means over seeds.

    User attributes of a trial: `arm`, `keys` of its trials, `seeds`. A range is as wide as it must be to hold what was run.
    Raises RequestError for a run log that is no search, and for a storage that has a study of that name already.
    """
    check_readable(log)
    sweep = log.read_sweep() or {}
    search = (sweep.get("space") or {}).get("search")
    if not search or not search.get("objectives"):
        raise RequestError(f"'{log}' holds no search; name a folder such as runs/p2_search")
    objectives = [
        Objective(goal["name"], goal["column"], goal["direction"] == "higher") for goal in search["objectives"]
    ]
    arms = by_arm(read_recorded(log).values())
    proposals = sorted(arms.values(), key=lambda trials: number_of(str(trials[0].row["arm"])))
    dimensions = [from_json(tree) for tree in sweep["space"]["dimensions"]]
    frozen = list(_freeze(proposals, dimensions, search["seeds"], objectives))  # before there is half a study anywhere
    try:
        study = optuna.create_study(
            study_name=sweep["study"],
            storage=storage,
            directions=["maximize" if objective.higher else "minimize" for objective in objectives],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # axes of the dashboard, and no more
            study.set_metric_names([objective.name for objective in objectives])
        for name in ("question", "scale", "claim_hash", "git_commit"):
            study.set_user_attr(name, sweep.get(name))
        for trial in frozen:
            study.add_trial(trial)
    except optuna.exceptions.DuplicatedStudyError as error:
        raise RequestError(
            f"the storage has a study '{sweep['study']}' already, and a search is written as a whole; name another storage, or "
            "delete that study"
        ) from error
    except (SQLAlchemyError, ImportError, OSError, ValueError) as error:
        raise RequestError(f"the storage cannot be written ({_without_secrets(error, storage)})") from error
    return study


def open_storage(text: str) -> str | BaseStorage:
    """A URL as it is, and the path of a journal as optuna's storage. Raises RequestError for a path that can be none."""
    if "://" in text:
        if text.startswith("sqlite") and text.partition("://")[2].strip("/") in ("", ":memory:"):
            raise RequestError(
                f"'{text}' names no file, so nothing would be kept; name one, such as sqlite:///search.db"
            )
        return text
    path = Path(text)
    if not path.suffix or path.is_dir() or not path.absolute().parent.is_dir():
        raise RequestError(
            f"'{text}' is no journal's file; name one with an ending in a folder that exists, such as search.journal, or a URL "
            "such as sqlite:///search.db"
        )
    try:
        if path.exists() and not _is_journal(path.read_text().partition("\n")[0]):
            raise RequestError(f"'{text}' is there and is no journal of Optuna's; name another file")
        return JournalStorage(JournalFileBackend(text))
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"the storage cannot be written ({error})") from error


def _is_journal(first: str) -> bool:
    try:
        entry = json.loads(first) if first else {"op_code": None}  # an empty one is new
    except json.JSONDecodeError:
        return False
    return isinstance(entry, dict) and "op_code" in entry


def _without_secrets(error: Exception, storage: str | BaseStorage) -> str:
    """The first line of an error. Of a URL with a login, which errors repeat in parts, no more than what kind it is of."""
    said = redact((str(error).splitlines() or [""])[0])
    return (
        said if not isinstance(storage, str) or _shown(storage) == storage else f"{type(error).__name__} of its driver"
    )


def _shown(storage: str) -> str:
    """A storage as it may be printed: in the URL of a server there may be a password anywhere."""
    is_file = "://" not in storage or (storage.startswith("sqlite:///") and "?" not in storage)
    return storage if is_file else f"the same {storage.partition('://')[0]}://... URL"


def _freeze(
    proposals: Sequence[list[Recorded]], dimensions: Sequence[Dimension], n_seeds: int, objectives: Sequence[Objective]
) -> Iterable[FrozenTrial]:
    """The proposals as Optuna keeps them. Their times are those of the export: the run log has none of its own."""
    if not proposals:
        return
    space = ProposalSpace(proposals[0][0].config, tuple(dimensions))
    params = [space.params(trials[0].config) for trials in proposals]
    ran: dict[str, list[Any]] = defaultdict(list)
    for values in params:
        for name, value in values.items():
            ran[name].append(value)
    by_field = {dimension.field: widen(dimension, ran[dimension.field]) for dimension in dimensions}
    for trials, values in zip(proposals, params, strict=True):
        fixed = FixedTrial(values)  # notes the distributions that the search itself proposes by
        for name in values:
            suggest(fixed, by_field[name])
        outcome = outcome_of([trial.row for trial in trials], n_seeds, objectives)
        one_stopped = outcome is not None and outcome.state == "stopped" and len(outcome.values) == 1
        yield optuna.trial.create_trial(
            state=TrialState.RUNNING if outcome is None else STATES[outcome.state],
            params=values,
            distributions=fixed.distributions,
            values=outcome.values if outcome is not None and outcome.state == "complete" else None,
            intermediate_values={outcome.epoch: outcome.values[0]} if outcome is not None and one_stopped else None,
            user_attrs={
                "arm": trials[0].row["arm"],
                "keys": [trial.key for trial in trials],
                "seeds": [trial.config.seed for trial in trials],
            },
        )


@app.command()
def main(
    folder: Annotated[str, typer.Argument(help="A search's run log, such as runs/p2_search.")],
    storage: Annotated[str, typer.Option(help="sqlite:///FILE or another URL, or the path of a journal file.")],
) -> None:
    """Writes a search as an Optuna study, for optuna-dashboard."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = export_study(open_study_log(folder), open_storage(storage))
    except RequestError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    except StorageError as error:
        typer.echo(redact(str(error)), err=True)
        raise typer.Exit(1) from error
    typer.echo(
        f"{len(study.trials)} proposals of '{study.study_name}' written; next: uvx optuna-dashboard {_shown(storage)}"
    )


if __name__ == "__main__":
    app()
