"""What sweep.json and the manifest of a run log must look like before anybody reads in them.

They are written by us and by whoever imports or edits a run log, so what is read of them may be missing or of another kind.
"""

from collections.abc import Collection, Mapping
from typing import Any

from foresight.errors import RequestError

# Parts of sweep.json that are read by name, with their kinds; a part may be missing or null.
PARTS: dict[str, type] = {
    "study": str,
    "scale": str,
    "claim": dict,
    "claim_hash": str,
    "amendments": list,
    "data": dict,
    "space": dict,
    "sensitivity": dict,
}
SEARCH_COUNTS = ("proposals", "seeds")  # whole numbers in space.search
MANIFEST_COLUMNS = ("key", "arm", "seed")
KINDS = {dict: "object", list: "list", str: "text"}


def check_sweep(sweep: Any) -> None:
    """Raises RequestError for the content of a sweep.json that is none; None is that of a study that has none yet."""
    if sweep is None:
        return
    if not isinstance(sweep, dict) or not sweep:
        raise RequestError("sweep.json holds no study: it is not an object with its parts")
    _check_parts(sweep, PARTS, "sweep.json")
    search = (sweep.get("space") or {}).get("search")
    if search is not None:
        if not isinstance(search, dict):
            raise RequestError("sweep.json is damaged: space.search is no object")
        for name in SEARCH_COUNTS:
            if not isinstance(search.get(name), int):
                raise RequestError(
                    f"sweep.json is damaged: space.search.{name} is {search.get(name)!r}, no whole number"
                )


def check_manifest(columns: Collection[str]) -> None:
    """Raises RequestError for a manifest.parquet without the columns that every trial of a plan has."""
    missing = [name for name in MANIFEST_COLUMNS if name not in columns]
    if missing:
        raise RequestError(f"manifest.parquet holds no plan: it has no column {' or '.join(missing)}")


def _check_parts(stored: Mapping[str, Any], parts: Mapping[str, type], where: str) -> None:
    for name, kind in parts.items():
        value = stored.get(name)
        if value is not None and not isinstance(value, kind):
            raise RequestError(f"{where} is damaged: its '{name}' is no {KINDS[kind]}")
