"""`python -m analysis <study>`: reads runs/<study>, writes results/<study>/, prints a table and the path of the report.

`python -m analysis gates` rolls all studies up, `python -m analysis import CSV --study NAME` makes a run log of published
numbers. Exit codes: 0 done, 2 the request is wrong (one sentence), 3 a gate is closed (`gates`, or a study with --gate);
one that is open by waiver says by whose.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from analysis import load
from analysis.amendments import describe_amendments
from analysis.gate import closed_by, waived_in
from analysis.gates import build_gates, build_studies, describe_gates
from analysis.import_csv import import_csv
from analysis.load import NothingCompleteError
from analysis.objectives import DEFAULT_OBJECTIVES
from analysis.recommend import describe_recommendation, read_budget, write_recommendation
from analysis.summary import print_summary
from analysis.waivers import DEFAULT_FILE, known_studies, read_waivers
from analysis.without_numbers import write_without_numbers
from foresight.errors import RequestError, RunEndedError
from foresight.price import read_price
from foresight.run_folder import open_log, open_runs
from foresight.storage.objects import open_place

GATE_CLOSED = 3


class StudyFirst(TyperGroup):
    """A first word that is no command is the name of a study."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["study", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=StudyFirst, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
Runs = Annotated[str, typer.Option(help="Where run logs are: a folder, s3://bucket/prefix or gs://bucket/prefix.")]
Waivers = Annotated[Path | None, typer.Option(help=f"Waived criteria; default: {DEFAULT_FILE}, where there is one.")]


@app.command("study")
def analyse(
    study: Annotated[str, typer.Argument(help="Name of the study: runs/<study> is read.")],
    runs: Runs = "runs",
    out: Annotated[Path, typer.Option(help="Folder of results: <out>/<study>/ is written.")] = Path("results"),
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit with 3 unless every criterion of the claim is met or waived.")
    ] = False,
    objectives: Annotated[
        str, typer.Option(help="Two or more objectives of the front, with commas: quality, metrics, costs.")
    ] = ",".join(DEFAULT_OBJECTIVES),
    budget: Annotated[
        list[str] | None, typer.Option(help="COST=MOST, repeatable: recommended.json is the best arm within it.")
    ] = None,
    price: Annotated[
        str, typer.Option(help="What a GPU-hour costs, as '2.10 EUR': the report then gives the cost in money.")
    ] = "",
    waivers: Waivers = None,
) -> None:
    """Tables, figures, verdicts, findings and one report page from a study's run log. The word `study` may be left out."""
    with one_sentence():
        checked_name(study, runs)
        folder_of_runs = open_runs(runs, study)
        path, folder = folder_of_runs / study, out / study
        stated = read_price(price) if price else None
        goals = [name.strip() for name in objectives.split(",")]
        try:
            loaded = load(path, goals, read_budget(budget or []), read_waivers(waivers, known_studies(folder_of_runs)))
        except NothingCompleteError:
            with writable(folder):
                write_without_numbers(path, folder)
            raise
        # Objectives that no arm has, and curves that no metric can have, are refused before anything is written.
        loaded.pareto()
        loaded.cautions()
        recommendation = loaded.recommendation()
    # matplotlib: a second that a wrong request need not wait for
    from analysis.findings import write_findings
    from analysis.report import write_report
    from analysis.results_file import write_results

    with one_sentence(), writable(folder):
        report = write_report(loaded, folder, stated)
        recommended = write_recommendation(loaded.data, recommendation, folder)
        write_findings(write_results(loaded, folder), loaded.data.sweep, folder)
    print_summary(loaded)
    for sentence in describe_recommendation(recommendation):
        typer.echo(sentence)
    closed = closed_by(loaded.gate()) if gate else []
    for sentence in closed:
        typer.echo(f"gate closed: {sentence}", err=True)
    for sentence in waived_in(loaded.gate()):
        typer.echo(f"{'gate open by waiver' if gate and not closed else 'waived'}: {sentence}", err=True)
    for sentence in describe_amendments(loaded.amendments()) if gate else []:
        typer.echo(f"amended: {sentence}", err=True)
    if recommended is not None:
        typer.echo(str(recommended))
    typer.echo(str(report))
    if closed:
        raise typer.Exit(GATE_CLOSED)


@app.command()
def gates(
    runs: Runs = "runs",
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    waivers: Waivers = None,
) -> None:
    """All studies rolled up into the gates of the plan. Exits with 3 while one of them is closed."""
    with one_sentence():
        folder = open_runs(runs)
        if not folder.is_dir():
            raise RequestError(f"there is no folder '{runs}'; choose another --runs")
        studies = build_studies(folder, read_waivers(waivers, known_studies(folder)))
    found = build_gates(studies)
    if as_json:
        typer.echo(json.dumps({"gates": found.to_dict("records"), "studies": studies.to_dict("records")}, indent=2))
    else:
        for sentence in describe_gates(found):
            typer.echo(sentence)
        for _, row in studies.iterrows():
            met = f"{row['criteria_met']} of {row['criteria']} criteria met"
            typer.echo(f"{row['study']}: {row['status'].replace('_', ' ')}, {met}, gate: {row['state']}")
    if (found["status"] == "closed").any():
        raise typer.Exit(GATE_CLOSED)


@app.command("import")
def import_table(
    csv: Annotated[Path, typer.Argument(help="A table: arm, metrics by name, and optionally seed, n_test, params.")],
    study: Annotated[str, typer.Option(help="Name of the study that it becomes.")],
    runs: Runs = "runs",
    primary: Annotated[str, typer.Option(help="Primary metric; default: the first of the table.")] = "",
    reference: Annotated[str, typer.Option(help="Arm that relative metrics compare with.")] = "",
    claim_of: Annotated[str, typer.Option(help="Study whose claim the numbers are held against.")] = "",
) -> None:
    """Makes a run log of published numbers, of provenance `imported`: analysed alike, and no gate opens by it."""
    with one_sentence():
        if claim_of and (primary or reference):
            raise RequestError(
                "--claim-of brings its own primary metric and reference; leave out --primary and --reference"
            )
        place = open_place(runs)
        claimed_in = open_log(place.below(checked_name(claim_of, runs))) if claim_of else None
        log = open_log(place.below(checked_name(study, runs)))
        for opened in (log, claimed_in) if claimed_in else (log,):
            opened.refresh()
        try:
            n_trials = import_csv(csv, log, claimed_in, primary, reference)
        except RunEndedError as error:
            raise RequestError(str(error)) from error
    typer.echo(f"{n_trials} trials imported; next: python -m analysis {study} --runs {runs}")


def checked_name(study: str, runs: str) -> str:
    """The name, or RequestError for one that is a path."""
    if study in ("", ".", "..") or Path(study).name != study:
        raise RequestError(f"'{study}' is not a study's name; name a folder of '{runs}', or another --runs")
    return study


@contextlib.contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Raises RequestError for a folder of results that takes no file."""
    try:
        yield
    except OSError as error:
        if error.strerror is None:  # what the reader of pictures says of a damaged one
            raise RequestError(f"a picture of the run log cannot be read ({error}); restore it or delete it") from error
        raise RequestError(
            f"the report cannot be written to {folder}: {error.strerror}; choose another --out"
        ) from error


@contextlib.contextmanager
def one_sentence() -> Iterator[None]:
    """Ends with code 2 and the sentence of a wrong request."""
    try:
        yield
    except RequestError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error


if __name__ == "__main__":
    app()
