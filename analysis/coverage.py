"""What was planned and what was done: trials per arm and per level of every factor.

In: the manifest and the recorded trials. Out: a frame with COVERAGE_COLUMNS. `missing` are trials planned and not
recorded: they wait, run, or died half-way. A level that was declared but never planned has a row with `planned` 0.
"""

import pandas as pd

from analysis.load import FactorInfo, StudyData

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
)


def build_coverage(data: StudyData) -> pd.DataFrame:
    """One row for the study (`scope` is `study`), one per factor level (`level`) and one per arm (`arm`)."""
    status = dict(zip(data.trials["key"], data.trials["status"], strict=True))
    usable = set(data.complete["key"])
    planned = data.planned.assign(
        # A complete trial that tables refuse, because it was neither trained nor imported, is missing here too.
        status=[
            "missing" if status.get(key, "missing") == "complete" and key not in usable else status.get(key, "missing")
            for key in data.planned["key"]
        ]
    )
    rows = [_row(planned, "study")]
    for factor in data.factors:
        for level in factor.levels:
            rows.append(_row(planned[rows_at(planned, data, factor, level)], "level", factor.name, str(level)))
    for arm, mine in planned.groupby("arm", sort=False):
        rows.append(_row(mine, "arm", str(mine["factor"].iloc[0] or ""), str(mine["level"].iloc[0] or ""), str(arm)))
    return pd.DataFrame(rows, columns=list(COVERAGE_COLUMNS))


def rows_at(rows: pd.DataFrame, data: StudyData, factor: FactorInfo, level: object) -> pd.Series:
    """Which rows stand for `level`: its one arm in a one-at-a-time design, every arm with that level in a factorial."""
    if data.is_factorial:
        return rows[f"config/{factor.field}"] == level
    return rows["arm"] == factor.arm_at(level)


def describe_coverage(coverage: pd.DataFrame) -> list[str]:
    """One sentence for the study and one for each factor with an incomplete level."""
    total = coverage[coverage["scope"] == "study"].iloc[0]
    sentences = [f"{total['completed']} of {total['planned']} planned trials are complete{_shortfall(total)}."]
    levels = coverage[(coverage["scope"] == "level") & ~coverage["is_complete"]]
    for factor, rows in levels.groupby("factor", sort=False):
        listed = "; ".join(_level_sentence(row) for _, row in rows.iterrows())
        sentences.append(f"Incomplete levels of {factor}: {listed}.")
    return sentences


def _level_sentence(row: pd.Series) -> str:
    if row["planned"] == 0:
        return f"{row['level']} was declared and never planned"
    return f"{row['level']} has {row['completed']} of {row['planned']}{_shortfall(row)}"


def _shortfall(row: pd.Series) -> str:
    parts = [f"{row[name]} {name}" for name in ("failed", "stopped", "missing") if row[name]]
    return f" ({', '.join(parts)})" if parts else ""


def _row(planned: pd.DataFrame, scope: str, factor: str = "", level: str = "", arm: str = "") -> dict[str, object]:
    counts = planned["status"].value_counts()
    completed = int(counts.get("complete", 0))
    row = {
        "scope": scope,
        "factor": factor,
        "level": level,
        "arm": arm,
        "planned": len(planned),
        "completed": completed,
    }
    row |= {status: int(counts.get(status, 0)) for status in ("failed", "stopped", "missing")}
    return row | {"is_complete": 0 < len(planned) == completed}
