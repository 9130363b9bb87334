"""`python -m foresight.tuning.export_optuna runs/<search> --storage sqlite:///search.db`: a search as a stored Optuna study.

For optuna-dashboard and for whoever knows Optuna: it is written from the run log and never read back. A storage is a URL
(`sqlite:///FILE`), or the path of a journal file. Exit codes: 0 done, 2 the request is wrong (one sentence).
"""

import warnings
from collections.abc import Mapping
from typing import Annotated, Any

import optuna
import typer
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from foresight.errors import RequestError
from foresight.run_folder import open_study_log
from foresight.runlog import RunLog
from foresight.tuning.preflight import check_readable
from foresight.tuning.recorded import Recorded, by_arm, outcome_of, read_recorded
from foresight.tuning.search import Objective

STATES = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def export_study(log: RunLog, storage: str | BaseStorage) -> optuna.Study:
    """Writes the search of a run log as a new study, named after it. A trial is a proposal, its values means over seeds.

    User attributes of a trial: `arm`, `keys` of its trials, `seeds`. Raises RequestError for a run log that is no search, and
    for a storage that has a study of that name already.
    """
    sweep = log.read_sweep() or {}
    space = sweep.get("space", {})
    if "search" not in space:
        raise RequestError(f"'{log.root}' holds no search; name a folder such as runs/p2_search")
    check_readable(log)
    objectives = [
        Objective(goal["name"], goal["column"], goal["direction"] == "higher") for goal in space["search"]["objectives"]
    ]
    try:
        study = optuna.create_study(
            study_name=sweep["study"],
            storage=storage,
            directions=["maximize" if objective.higher else "minimize" for objective in objectives],
        )
    except optuna.exceptions.DuplicatedStudyError as error:
        raise RequestError(
            f"the storage has a study '{sweep['study']}' already, and a search is written as a whole; name another storage, or "
            "delete that study"
        ) from error
    except (SQLAlchemyError, ImportError, OSError) as error:
        raise RequestError(f"the storage cannot be written ({str(error).splitlines()[0]})") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # axes of the dashboard, and no more
        study.set_metric_names([objective.name for objective in objectives])
    for name in ("question", "scale", "claim_hash", "git_commit"):
        study.set_user_attr(name, sweep.get(name))
    arms = by_arm(read_recorded(log).values())
    for trials in sorted(arms.values(), key=lambda trials: _number(trials[0])):
        study.add_trial(_frozen(trials, space, objectives))
    return study


def _number(trial: Recorded) -> int:
    arm = str(trial.row["arm"])
    return int(arm.removeprefix("p")) if arm.startswith("p") else 0


def _frozen(trials: list[Recorded], space: Mapping[str, Any], objectives: list[Objective]) -> FrozenTrial:
    """One proposal as Optuna keeps it. Its times are those of the export: the run log has none of its own."""
    params, distributions = _params(trials[0].config.flat(), space["dimensions"])
    outcome = outcome_of([trial.row for trial in trials], space["search"]["seeds"], objectives)
    state = STATES[outcome.state] if outcome is not None else TrialState.RUNNING
    values = list(outcome.values) if outcome is not None and outcome.state == "complete" else None
    is_stopped = outcome is not None and outcome.state == "stopped"
    return optuna.trial.create_trial(
        state=state,
        params=params,
        distributions=distributions,
        values=values,
        intermediate_values={outcome.epoch: outcome.values[0]} if outcome is not None and is_stopped else None,
        user_attrs={
            "arm": trials[0].row["arm"],
            "keys": [trial.key for trial in trials],
            "seeds": [trial.config.seed for trial in trials],
        },
    )


def _params(
    flat: Mapping[str, Any], dimensions: list[Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    """The proposed fields and their ranges: a dimension is left out where its conditions do not hold."""
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    proposed = {str(dimension["field"]): dimension for dimension in dimensions}
    for field, dimension in proposed.items():
        if _is_proposed(dimension, proposed, flat):
            params[field], distributions[field] = flat[field], _distribution(dimension)
    return params, distributions


def _is_proposed(
    dimension: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]], flat: Mapping[str, Any]
) -> bool:
    return all(
        flat[field] in values and _is_proposed(others[field], others, flat)
        for field, values in dimension["when"].items()
    )


def _distribution(dimension: Mapping[str, Any]) -> BaseDistribution:
    if dimension["kind"] == "Choice":
        return CategoricalDistribution(dimension["values"])
    if dimension["kind"] == "IntRange":
        return IntDistribution(dimension["low"], dimension["high"], log=dimension["log"], step=dimension["step"])
    return FloatDistribution(dimension["low"], dimension["high"], log=dimension["log"], step=dimension["step"])


@app.command()
def main(
    folder: Annotated[str, typer.Argument(help="A search's run log, such as runs/p2_search.")],
    storage: Annotated[str, typer.Option(help="sqlite:///FILE or another URL, or the path of a journal file.")],
) -> None:
    """Writes a search as an Optuna study, for optuna-dashboard."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    where = storage if "://" in storage else JournalStorage(JournalFileBackend(storage))
    try:
        study = export_study(open_study_log(folder), where)
    except RequestError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{len(study.trials)} proposals of '{study.study_name}' written; next: optuna-dashboard {storage}")


if __name__ == "__main__":
    app()
