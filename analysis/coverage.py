"""What was planned and what was done: trials per arm and per level of every factor.

In: the manifest and the recorded trials. Out: a frame with COVERAGE_COLUMNS. `missing` are trials planned and not
recorded: they wait, run, or died half-way. `keys` are the planned trials that are not complete. A level that was declared
but never planned has a row with `planned` 0.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.load import StudyData
from foresight.declared import FactorInfo

COVERAGE_COLUMNS = (
    "scope",
    "factor",
    "level",
    "arm",
    "planned",
    "completed",
    "failed",
    "stopped",
    "missing",
    "is_complete",
    "keys",
)


def build_coverage(data: StudyData) -> pd.DataFrame:
    """One row for the study (`scope` is `study`), one per factor level (`level`) and one per arm (`arm`)."""
    # A complete trial that tables refuse, because it was neither trained nor imported, is missing here too.
    status_of = data.trials.set_index("key")["status"]
    refused = status_of.index[(status_of == "complete") & ~status_of.index.isin(data.complete["key"])]
    status = data.planned["key"].map(status_of.drop(refused)).fillna("missing")
    lacking = data.planned.loc[status != "complete", "key"]
    rows = [_row(status, lacking, "study")]
    for factor in data.factors:
        for level in factor.levels:
            is_mine = rows_at(data.planned, data, factor, level)
            rows.append(_row(status[is_mine], lacking[is_mine[lacking.index]], "level", factor.name, str(level)))
    counts = pd.crosstab(data.planned["arm"], status) if len(status) else pd.DataFrame()
    lacking_of = lacking.groupby(data.planned["arm"]).agg(" ".join).to_dict()
    for arm in data.planned["arm"].unique():
        row = _counted(counts.loc[arm].to_dict(), "arm", **data.described[arm], arm=str(arm))
        rows.append(row | {"keys": lacking_of.get(arm, "")})
    return pd.DataFrame(rows, columns=list(COVERAGE_COLUMNS))


def rows_at(rows: pd.DataFrame, data: StudyData, factor: FactorInfo, level: object) -> pd.Series:
    """Which rows stand for `level`: its one arm in a one-at-a-time design, every arm with that level in a factorial."""
    if data.is_factorial:
        return rows[f"config/{factor.field}"] == level
    return rows["arm"] == factor.arm_at(level)


def describe_coverage(coverage: pd.DataFrame) -> list[str]:
    """One sentence for the study, one for all levels without a complete trial, one for each factor with incomplete ones."""
    return [text for text, _ in coverage_with_keys(coverage)]


def coverage_with_keys(coverage: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """As `describe_coverage`, each sentence with the keys of the planned trials that are not complete."""
    total = coverage[coverage["scope"] == "study"].iloc[0].to_dict()
    text = f"{total['completed']} of {total['planned']} planned trials are complete{_shortfall(total)}."
    sentences = [(text, str(total["keys"]).split())]
    levels = coverage[(coverage["scope"] == "level") & ~coverage["is_complete"]]
    empty = levels[levels["completed"] == 0]
    if len(empty):
        named = [f"{row['factor']} = {row['level']}{_why(row)}" for row in empty.to_dict("records")]
        sentences.append((f"Nothing is known about {'; '.join(named)}.", _keys(empty)))
    for factor, rows in levels[levels["completed"] > 0].groupby("factor", sort=False):
        listed = "; ".join(
            f"{row['level']} has {row['completed']} of {row['planned']}{_shortfall(row)}"
            for row in rows.to_dict("records")
        )
        sentences.append((f"Incomplete levels of {factor}: {listed}.", _keys(rows)))
    return sentences


def _why(row: Mapping[Any, Any]) -> str:
    """Why no trial of a level is complete."""
    return _shortfall(row) if row["planned"] else " (declared and never planned)"


def _shortfall(row: Mapping[Any, Any]) -> str:
    parts = [f"{row[name]} {name}" for name in ("failed", "stopped", "missing") if row[name]]
    return f" ({', '.join(parts)})" if parts else ""


def _keys(rows: pd.DataFrame) -> list[str]:
    """Of all rows, each once: a trial of a factorial stands at a level of every factor."""
    return list(dict.fromkeys(" ".join(rows["keys"]).split()))


def _row(status: pd.Series, lacking: pd.Series, scope: str, factor: str = "", level: str = "") -> dict[str, object]:
    return _counted(status.value_counts().to_dict(), scope, factor, level) | {"keys": " ".join(lacking)}


def _counted(counts: Mapping[Any, int], scope: str, factor: str, level: str, arm: str = "") -> dict[str, object]:
    planned, completed = sum(counts.values()), int(counts.get("complete", 0))
    row = {"scope": scope, "factor": factor, "level": level, "arm": arm, "planned": planned, "completed": completed}
    row |= {name: int(counts.get(name, 0)) for name in ("failed", "stopped", "missing")}
    return row | {"is_complete": 0 < planned == completed}
