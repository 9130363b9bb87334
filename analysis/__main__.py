"""`python -m analysis <study>`: reads runs/<study>, writes results/<study>/, prints a table and the path of the report.

Exit codes: 0 done, 2 the request is wrong (one sentence), 3 with --gate when a criterion of the claim is not met.
"""

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from analysis import Study, load, wording
from analysis.cost import read_price
from analysis.coverage import describe_coverage
from analysis.objectives import DEFAULT_OBJECTIVES
from analysis.recommend import describe_recommendation, read_budget, write_recommendation
from analysis.verdicts import unmet_criteria
from foresight.errors import RequestError

WITHOUT_VERDICT = {"trivial": "trivial predictor", "ceiling": "ceiling"}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    study: Annotated[str, typer.Argument(help="Name of the study: runs/<study> is read.")],
    runs: Annotated[Path, typer.Option(help="Folder of run logs.")] = Path("runs"),
    out: Annotated[Path, typer.Option(help="Folder of results: <out>/<study>/ is written.")] = Path("results"),
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit with 3 unless every criterion of the claim is met.")
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
) -> None:
    """Tables, figures, verdicts and one report page from a study's run log."""
    try:
        if study in ("", ".", "..") or Path(study).name != study:
            raise RequestError(f"'{study}' is not a study's name; name a folder of '{runs}', or another --runs")
        stated = read_price(price) if price else None
        loaded = load(runs / study, [name.strip() for name in objectives.split(",")], read_budget(budget or []))
        recommendation = loaded.recommendation()
    except RequestError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    from analysis.report import write_report  # matplotlib: a second that a wrong request need not wait for

    try:
        path = write_report(loaded, out / study, stated)
        recommended = write_recommendation(loaded.data, recommendation, out / study)
    except OSError as error:
        typer.echo(f"the report cannot be written to {out / study}: {error.strerror}; choose another --out", err=True)
        raise typer.Exit(2) from error
    print_summary(loaded)
    for sentence in describe_recommendation(recommendation):
        typer.echo(sentence)
    unmet = unmet_criteria(loaded.verdicts()) if gate else []
    for sentence in unmet:
        typer.echo(f"gate closed: {sentence}", err=True)
    if recommended is not None:
        typer.echo(str(recommended))
    typer.echo(str(path))
    if unmet:
        raise typer.Exit(3)


def print_summary(study: Study) -> None:
    """The primary metric of every arm as a table, then criteria, coverage and cautions."""
    data, verdicts = study.data, study.verdicts()
    arms = verdicts[verdicts["kind"] == "arm"]
    verdict_of = dict(zip(arms["name"], arms["verdict"], strict=True))
    decimals, names = wording.decimals_of(data.claim.primary), wording.short_arms(data.arms)
    console = Console(highlight=False)
    console.print(
        f"{data.name}: {wording.metric_phrase(data.claim.primary)}, {data.n_test} {data.items}, 95 % intervals"
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)  # 80 columns hold it
    for column in ("arm", "seeds", "mean", "difference", "verdict"):
        table.add_column(column, justify="left" if column in ("arm", "verdict") else "right", no_wrap=True)
    rows = study.table()
    for _, row in rows[rows["role"] == "primary"].iterrows():
        is_arm = row["kind"] == "arm"
        half, difference_half = (row["high"] - row["low"]) / 2, (row["difference_high"] - row["difference_low"]) / 2
        table.add_row(
            names[row["arm"]] if is_arm else row["arm"],
            str(row["n_seeds"]) if is_arm else "",
            _with_half_width(wording.number(row["mean"], decimals), half, decimals),
            _with_half_width(wording.signed(row["difference"], decimals), difference_half, decimals),
            _verdict_cell(verdict_of.get(row["arm"], "")) if is_arm else WITHOUT_VERDICT[row["kind"]],
        )
    console.print(table)
    for _, row in study.param_efficiency().query("basis == 'claim'").iterrows():
        shown = f"{wording.number(row['efficiency'])} {wording.interval(row['low'], row['high'])}".strip()
        console.print(f"{row['arm']}: {row['metric']} {shown}. {row['warnings']}".strip(), markup=False)
    for note in (data.sweep.get("scale_note"), *verdicts.loc[verdicts["kind"] == "criterion", "sentence"]):
        if note:
            console.print(note, markup=False)
    for note in (*describe_coverage(study.coverage()), *(caution.text for caution in study.cautions())):
        console.print(note, markup=False)


def _verdict_cell(verdict: str) -> str:
    """`none: 4 of 5, 1 failed`: 80 columns have no room for more."""
    return wording.short_verdict(verdict).replace("no verdict (", "none: ").rstrip(")")


def _with_half_width(text: str, half_width: float, decimals: int) -> str:
    return text if math.isnan(half_width) else f"{text} ±{wording.number(half_width, decimals)}"


if __name__ == "__main__":
    app()
