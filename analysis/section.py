"""What makes a frame a part of the page: its heading, its table, its sentences, and which figures stand with it."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from analysis import Study


def no_sentences(frame: pd.DataFrame) -> list[str]:
    """For a frame that speaks for itself."""
    return []


@dataclass(frozen=True)
class Section:
    """One frame as the page shows it. `anchor` is its place in the page's address and the name of its CSV.

    `columns` maps columns of the frame to headings, in the order in which they stand; the CSV has all columns. An empty
    frame has neither a section nor a CSV. `figures` are the stems of drawings that stand above the table.
    An appendix stands after cost and pictures, with the claim and the environment.
    """

    anchor: str
    title: str
    build: Callable[[Study], pd.DataFrame]
    columns: dict[str, str]
    describe: Callable[[pd.DataFrame], list[str]] = no_sentences
    figures: tuple[str, ...] = ()
    is_appendix: bool = False
