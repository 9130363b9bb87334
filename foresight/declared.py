"""What a study's run log was declared to hold: its factors, which of its rows are of another configuration, its arms.

The sweep and analysis read their trials by the same rules, so that both compare the same arms, as one family.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from foresight.errors import RequestError
from foresight.space import BASELINE


@dataclass(frozen=True)
class FactorInfo:
    """A declared factor. `baseline_level` is the baseline's value of its field, one of `levels`.

    Where no level is the baseline's, because each sets a further field otherwise, the baseline stands as the first level.
    """

    name: str
    field: str
    levels: tuple[Any, ...]
    level_notes: dict[str, str]
    baseline_level: Any
    with_fields: tuple[str, ...] = ()  # further fields that change with the level

    def arm_at(self, level: Any) -> str:
        """The arm's name in a one-at-a-time design."""
        return BASELINE if level == self.baseline_level else f"{self.field}={level}"


def read_factors(sweep: Mapping[str, Any]) -> tuple[FactorInfo, ...]:
    """The factors in the content of sweep.json, in their declared order."""
    space = sweep.get("space", {})
    factors = []
    for factor in space.get("factors", ()):
        instead = factor.get("instead", {})
        further = {name for fields in factor.get("with_level", {}).values() for name in fields}
        factors.append(
            FactorInfo(
                name=factor["name"],
                field=factor["field"],
                levels=(BASELINE, *factor["levels"]) if instead else tuple(factor["levels"]),
                level_notes=factor.get("level_notes", {}),
                baseline_level=BASELINE if instead else space["baseline"].get(factor["field"]),
                with_fields=tuple(further | set(instead)),
            )
        )
    return tuple(factors)


def check_declared(sweep: Mapping[str, Any]) -> None:
    """Raises RequestError where the space in the content of sweep.json cannot be read."""
    try:
        read_factors(sweep)
        varied_fields(sweep)
    except (AttributeError, KeyError, TypeError) as error:
        said = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise RequestError(f"the space in sweep.json is damaged ({said}); restore it from a copy") from error


def varied_fields(sweep: Mapping[str, Any]) -> set[str]:
    """The config fields that differ between the trials of a study."""
    factors = read_factors(sweep)
    of_factors = {*(factor.field for factor in factors), *(name for f in factors for name in f.with_fields)}
    return {"seed", *of_factors, *searched_fields(sweep)}


def searched_fields(sweep: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of a search's dimensions, as sweep.json declares them; none for a design."""
    return tuple(str(dimension["field"]) for dimension in sweep.get("space", {}).get("dimensions", ()))


def find_foreign_fields(rows: pd.DataFrame, sweep: Mapping[str, Any]) -> pd.Series:
    """Per row, the first config field that differs from the declared sweep, or ''; one not recorded does not differ."""
    baseline = {"scale": sweep["scale"]} if "scale" in sweep else {}
    baseline |= sweep.get("space", {}).get("baseline", {})
    fixed = {name: value for name, value in baseline.items() if name not in varied_fields(sweep)}
    found = pd.Series("", index=rows.index, dtype=object)
    for field, value in fixed.items():
        column = f"config/{field}"
        if column in rows:
            stored = rows[column]
            differs = (stored != value).to_numpy(dtype=bool, na_value=False) & stored.notna().to_numpy()
            if differs.any():
                found[differs & (found == "").to_numpy()] = field
    return found


def list_arms(planned: pd.DataFrame, recorded: pd.DataFrame) -> list[str]:
    """Every arm, planned or recorded, the baseline first, then in the order of the plan: one family of comparisons.

    Recorded ones count although no plan names them: comparisons must not become fewer by a plan that was cut.
    """
    names = [str(arm) for rows in (planned, recorded) if "arm" in rows for arm in rows["arm"].unique()]
    return sorted(dict.fromkeys(names), key=lambda name: name != BASELINE)
