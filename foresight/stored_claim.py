"""The claim that was fixed before the run, read back from sweep.json. Nothing here looks at a result."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from foresight.amendment import check_untouched, read_amendments
from foresight.claim import Claim, Criterion
from foresight.errors import RequestError
from foresight.spending import Spending


def read_claim(sweep: Mapping[str, Any]) -> Claim:
    """The claim in the content of sweep.json.

    Raises RequestError when a part is missing or out of order, or when the claim is not the one whose hash was stored
    with it, unless amendments lead from that to this: limits that move after the run are no claim.
    """
    if not isinstance(sweep.get("claim", {}), Mapping):
        raise RequestError("the claim in sweep.json is no JSON object, so nothing says what was claimed; restore it")
    stored = _parts(Claim, sweep.get("claim", {}), "the claim in sweep.json")
    _check_types(stored)
    stored["criteria"] = tuple(
        Criterion(**_parts(Criterion, row, "a criterion of the claim")) for row in stored.get("criteria", ())
    )
    stored["judged"] = tuple(stored.get("judged", ()))
    if stored.get("spending"):
        spending = Spending(**_parts(Spending, stored["spending"], "the spending of the claim"))
        stored["spending"] = replace(spending, looks=tuple(spending.looks))
    claim = Claim(**stored)
    claim.check()
    if sweep.get("claim_hash"):
        check_untouched({**sweep, "claim": claim.to_json()})
    read_amendments(sweep)
    return claim


def _check_types(stored: Mapping[str, Any]) -> None:
    """Raises RequestError for a part of another kind than the claim's field. What is stored stays as it is, and its hash."""
    try:
        TypeAdapter(Claim).validate_json(json.dumps(stored), strict=True)
    except ValidationError as error:
        wrong = [found for found in error.errors() if found["type"] != "missing"]  # which _parts names
        if wrong:
            where = ".".join(str(part) for part in wrong[0]["loc"])
            said = f"'{where}' is wrong: {wrong[0]['msg'][:1].lower()}{wrong[0]['msg'][1:]}"
            raise RequestError(f"the claim in sweep.json is damaged, {said}; put it back as it was") from error


def _parts(
    kind: type[Claim] | type[Criterion] | type[Spending], stored: Mapping[str, Any], where: str
) -> dict[str, Any]:
    names = [field.name for field in fields(kind)]
    missing = [field.name for field in fields(kind) if field.name not in stored and field.default is MISSING]
    if missing:
        raise RequestError(f"{where} lacks {', '.join(missing)}")
    return {name: stored[name] for name in names if name in stored}
