"""The tables of the report that are one frame each: sentences, then a table that sorts, and a CSV of the whole frame.

In: a Study. Out: for each Section its frame. A new frame of the analysis gets its place on the page, in its table of
contents and in results/<study>/ by one entry of SECTIONS; `analysis.cells` decides how its numbers read.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from analysis import Study
from analysis.efficiency import describe_efficiency
from analysis.pareto import describe_pareto


def no_sentences(frame: pd.DataFrame) -> list[str]:
    """For a frame that speaks for itself."""
    return []


@dataclass(frozen=True)
class Section:
    """One frame as the page shows it. `anchor` is its place in the page's address and the name of its CSV.

    `columns` maps columns of the frame to headings, in the order in which they stand; the CSV has all columns. An empty
    frame has neither a section nor a CSV.
    """

    anchor: str
    title: str
    build: Callable[[Study], pd.DataFrame]
    columns: dict[str, str]
    describe: Callable[[pd.DataFrame], list[str]] = no_sentences


SECTIONS = (
    Section(
        "pareto_front",
        "Pareto front",
        Study.pareto,
        {
            "arm": "Arm",
            "on_front": "On the front",
            "n_seeds": "Seeds",
            "quality": "Quality",
            "params_trained": "Trained parameters ↓",
            "latency_ms": "Latency ↓",
        },
        describe_pareto,
    ),
    Section(
        "param_efficiency",
        "Parameter efficiency",
        Study.param_efficiency,
        {
            "arm": "Arm",
            "metric": "Metric",
            "params_trained": "Trained parameters",
            "n_seeds": "Seeds",
            "efficiency": "Efficiency ↑",
            "warnings": "Warnings",
        },
        describe_efficiency,
    ),
)
