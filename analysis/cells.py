"""How a value of any frame reads in a table of the page, decided by its column's name, its kind and its row's metric.

In: a frame and its columns to show. Out: a grid of Cells. An interval stands small under the number it belongs to, the
seeds under their count, so that no number can be read without them, and the trials of a row fold under its first cell.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from analysis import wording
from foresight.metrics import METRICS

LONGEST_LINE = 32  # characters of a text that stay on one line
WRITTEN_SHORT = ("margin", "alpha", "target", "acceptable", "failure")  # limits as they were declared: 0.05, not 0.050
SHARES_OF_A_COST = (
    "saved_"  # start of the columns that say which share of a cost is saved: 0.35 of the latency, not 0.35 ms
)
ARM_NAMES = ("arm", "name", "reference")
KEPT_AS_CODE = ("key", "hash")
MOST_WITH_TRIALS = 200  # rows of a table that name their trials on the page; the CSV names those of any


@dataclass(frozen=True)
class Cell:
    """One value: `text` as it reads, `note` small under it, `sort` what a click on the head sorts by.

    `kind` is `number`, `text`, `wrap` (a long text), `arm`, `verdict` or `code`. `keys` are the trials behind the row.
    """

    text: str
    sort: str
    kind: str
    note: str = ""
    keys: str = ""


def shown_columns(frame: pd.DataFrame, columns: list[str]) -> list[str]:
    """Those of the columns that have a value in some row: a page has no room for what was never measured."""
    return [name for name in columns if (frame[name].notna() & (frame[name] != "")).any()]


def build_cells(frame: pd.DataFrame, columns: list[str]) -> list[list[Cell]]:
    """One list per row of the frame, one Cell per shown column."""
    names = list(map(str, frame))
    limits = {
        column: pair for column in columns if (pair := interval_of(names, column)) and not set(pair) & set(columns)
    }
    lists_seeds = "seeds" in frame and "seeds" not in columns
    names_trials = "keys" in frame and len(frame) <= MOST_WITH_TRIALS
    grid = []
    for row in frame.to_dict("records"):
        cells = []
        for column in columns:
            note = str(row["seeds"]) if column == "n_seeds" and lists_seeds else ""
            if column in limits:
                low, high = (_float(row[name]) for name in limits[column])
                written = [_number(column, limit, False, row) for limit in (low, high)]
                note = "" if math.isnan(low) else f"[{written[0]}, {written[1]}]"
            cells.append(_cell(column, row, note))
        if names_trials and isinstance(row["keys"], str):
            cells[0] = replace(cells[0], keys=row["keys"])
        grid.append(cells)
    return grid


def interval_of(names: list[str], column: str) -> tuple[str, str] | None:
    """The columns with the limits of `column`: `<column>_low` and `_high`, or the `low` and `high` that follow it."""
    if f"{column}_low" in names and f"{column}_high" in names:
        return f"{column}_low", f"{column}_high"
    at = names.index(column)
    return ("low", "high") if names[at + 1 : at + 3] == ["low", "high"] else None


def _cell(column: str, row: dict[Any, Any], note: str) -> Cell:
    value = row[column]
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return Cell(wording.EMPTY, "", "number", note)
    if isinstance(value, bool):
        return Cell("yes" if value else "no", str(int(value)), "text", note)
    if isinstance(value, str):
        shown = METRICS[value].id if column == "metric" and value in METRICS else value
        return Cell(shown, value, _text_kind(column, value), note)
    is_whole = isinstance(value, int) or column.startswith("n_")  # a count with gaps is stored as floats
    text = _number(column, float(value), is_whole, row)
    if (column == "difference" or column.endswith("_difference")) and float(text.replace("−", "-")) > 0:
        text = f"+{text}"
    return Cell(text, f"{value}", "number", note)


def _number(column: str, value: float, is_whole: bool, row: dict[Any, Any]) -> str:
    if column.startswith(SHARES_OF_A_COST):
        return f"{wording.number(100 * value, 0)} %"
    if "params" in column or "flops" in column:
        return wording.quantity(value)
    if column == "p" or column.startswith("p_"):
        return wording.p_value(value)
    if column in WRITTEN_SHORT:
        return f"{value:g}"
    if column.startswith("alpha_"):  # a share of alpha: the first look's may be 0.00009
        return f"{value:.2g}"
    if is_whole:
        return f"{value:.0f}"
    if column == "money":
        return wording.number(value, 2)
    if column.endswith("_ms"):
        return wording.number(value, 1)
    if column.endswith("_mb"):
        return wording.number(value, 0)
    if column.endswith("_s"):
        return wording.duration(value)
    return wording.number(value, _decimals(row))


def _text_kind(column: str, value: str) -> str:
    if column in ARM_NAMES or column.endswith("_arm"):
        return "arm"
    if column == "verdict":
        return "verdict"
    if column in KEPT_AS_CODE:
        return "code"
    return "wrap" if len(value) > LONGEST_LINE else "text"


def _decimals(row: dict[Any, Any]) -> int:
    metric = row.get("metric")
    return wording.decimals_of(metric) if metric in METRICS else 3


def _float(value: Any) -> float:
    return math.nan if value is None or value is pd.NA else float(value)
