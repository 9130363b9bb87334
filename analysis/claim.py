"""Which claim the trials of a run log ran for, held against the one in its sweep.json."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from foresight.amendment import known_claims
from foresight.errors import RequestError


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
