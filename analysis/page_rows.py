"""Frames turned for the page: one entry per arm where a frame has one row per arm and metric, scene type or share.

In: frames of a study. Out: dicts of rows, as the templates walk through them.
"""

import math
from typing import Any

import pandas as pd

from analysis import Study

NOT_SHOWN = ("env/pid", "env/ended", "env/resumed_s")  # another value for each trial, of which a reader learns nothing
MOST_VALUES = 6  # of one column of the environment that are listed


def table_rows(table: pd.DataFrame, verdict_of: dict[str, str]) -> list[dict[str, Any]]:
    """One entry per arm or trivial predictor: its row for the primary metric and one for each other metric."""
    entries: dict[str, dict[str, Any]] = {}
    for row in records(table):
        arm = row["arm"]
        entry = entries.setdefault(arm, {"arm": arm, "others": [], "verdict": verdict_of.get(arm, "")})
        if row["role"] == "primary":
            entry["primary"] = row
        else:
            entry["others"].append(row)
    return list(entries.values())


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dicts with one kind of missing value, nan."""
    plain = frame.astype(object)
    return [
        {str(name): v for name, v in row.items()} for row in plain.where(frame.notna(), math.nan).to_dict("records")
    ]


def scene_rows(study: Study) -> dict[str, dict[str, dict[str, Any]]]:
    """Arm to its row of the primary metric for each scene type."""
    rows = study.breakdown()
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in records(rows[rows["metric"] == study.data.claim.primary]):
        found.setdefault(row["arm"], {})[row["scene"]] = row
    return found


def heldout_rows(study: Study) -> dict[str, dict[tuple[str, str], dict[str, dict[str, Any]]]]:
    """Set to (kind, arm or predictor) to its row of each metric."""
    found: dict[str, dict[tuple[str, str], dict[str, dict[str, Any]]]] = {}
    for row in records(study.heldout()):
        found.setdefault(row["set"], {}).setdefault((row["kind"], row["arm"]), {})[row["metric"]] = row
    return found


def share_rows(study: Study) -> dict[str, dict[str, dict[str, Any]]]:
    """Arm to its row of each share; without the shares that no arm recorded."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in records(study.shares()):
        found.setdefault(row["arm"], {})[row["share"]] = row
    return found


def distinct_values(rows: pd.DataFrame, prefix: str) -> list[tuple[str, str]]:
    """Each column with that prefix and the values found in it, so that a mixed environment shows."""
    found = []
    for column in map(str, rows.columns):
        values = (
            sorted(map(str, rows[column].dropna().unique()))
            if column.startswith(prefix) and column not in NOT_SHOWN
            else []
        )
        if values:
            listed = ", ".join(values) if len(values) <= MOST_VALUES else f"{len(values)} different values"
            found.append((column.removeprefix(prefix), listed))
    return found
