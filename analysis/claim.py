"""The claim that was fixed before the run, read back from sweep.json. Nothing here looks at a result."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from typing import Any

import pandas as pd

from foresight.amendment import known_claims, read_amendments
from foresight.claim import Claim, Criterion
from foresight.errors import RequestError
from foresight.spending import Spending


def read_claim(sweep: Mapping[str, Any]) -> Claim:
    """The claim in the content of sweep.json.

    Raises RequestError when a part is missing or out of order, or when the claim is not the one whose hash was stored
    with it, unless amendments lead from that to this: limits that move after the run are no claim.
    """
    stored = _parts(Claim, sweep.get("claim", {}), "the claim in sweep.json")
    stored["criteria"] = tuple(
        Criterion(**_parts(Criterion, row, "a criterion of the claim")) for row in stored.get("criteria", ())
    )
    stored["judged"] = tuple(stored.get("judged", ()))
    if stored.get("spending"):
        spending = Spending(**_parts(Spending, stored["spending"], "the spending of the claim"))
        stored["spending"] = replace(spending, looks=tuple(spending.looks))
    claim = Claim(**stored)
    claim.check()
    registered = sweep.get("claim_hash")
    if registered and registered != claim.hash:
        raise RequestError(
            f"the claim in sweep.json hashes to {claim.hash}, not to the {registered} registered before the run; "
            "put it back, or record the change with 'python sweeps/<study>.py --amend REASON'"
        )
    read_amendments(sweep)
    return claim


def check_trial_claims(recorded: pd.DataFrame, sweep: Mapping[str, Any]) -> None:
    """Raises RequestError for a trial that ran for a claim which neither is the study's nor became it by an amendment.

    Every trial holds the hash of the claim it ran for, so claim and hash cannot both be rewritten in sweep.json. What
    trained trials without one leave open is a caution, and closes a gate (`without_claim`).
    """
    if "env/claim_hash" not in recorded:
        return
    known = known_claims(sweep)
    others = recorded[recorded["env/claim_hash"].notna() & ~recorded["env/claim_hash"].isin(known)]
    if len(others):
        first = others.iloc[0]
        raise RequestError(
            f"{len(others)} trials ran for another claim than the {known[-1]} in sweep.json (for example {first['key']}, for "
            f"{first['env/claim_hash']}), and no amendment leads from one to the other"
        )


def without_claim(trials: pd.DataFrame) -> pd.DataFrame:
    """The trained ones that do not say for which claim they ran: of an older version of this code, or changed by hand."""
    said = trials.get("env/claim_hash", pd.Series(None, index=trials.index, dtype=object))
    return trials[(trials["provenance"] == "trained") & said.isna()]


def _parts(
    kind: type[Claim] | type[Criterion] | type[Spending], stored: Mapping[str, Any], where: str
) -> dict[str, Any]:
    names = [field.name for field in fields(kind)]
    missing = [field.name for field in fields(kind) if field.name not in stored and field.default is MISSING]
    if missing:
        raise RequestError(f"{where} lacks {', '.join(missing)}")
    return {name: stored[name] for name in names if name in stored}
