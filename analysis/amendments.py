"""What was changed of the claim, or of what varies, after the study began: for the report and every verdict.

In: sweep.json as `foresight.amendment` writes it. Out: a frame with AMENDMENT_COLUMNS, oldest first.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.wording import count
from foresight.amendment import compute_changes, read_amendments
from foresight.claim import hash_claim

AMENDMENT_COLUMNS = ("kind", "made", "n_complete", "changes", "reason", "before", "after")


def build_amendments(sweep: Mapping[str, Any]) -> pd.DataFrame:
    """One row per amendment of the claim (`kind` claim, `before` and `after` its hashes) and change of the space."""
    rows: list[dict[str, object]] = []
    for amendment in read_amendments(sweep):
        row = {"kind": "claim", "made": amendment.made, "n_complete": amendment.n_complete, "reason": amendment.reason}
        row |= {"before": hash_claim(amendment.before), "after": hash_claim(amendment.after)}
        rows.append(row | {"changes": "; ".join(compute_changes(amendment.before, amendment.after))})
    for change in sweep.get("space_changes", ()):
        parts = [f"{name} {', '.join(change[name])}" for name in ("added", "removed") if change[name]]
        row = {"kind": "space", "made": change["made"], "n_complete": change["n_complete"], "reason": ""}
        rows.append(row | {"changes": "; ".join(parts), "before": "", "after": ""})
    return pd.DataFrame(rows, columns=list(AMENDMENT_COLUMNS)).sort_values("made", kind="stable", ignore_index=True)


def describe_amendments(amendments: pd.DataFrame) -> list[str]:
    """One sentence for each amendment and change."""
    return [
        f"After {count(row['n_complete'], 'complete trial')} ({row['made']}) "
        + (
            f"the claim was amended, since {row['reason'].rstrip('.')}: {row['changes']}."
            if row["kind"] == "claim"
            else f"what varies was changed: {row['changes']}."
        )
        for _, row in amendments.iterrows()
    ]


def amended_note(sweep: Mapping[str, Any]) -> str:
    """What every verdict on an amended claim ends with; empty for one that stands as it was registered."""
    seen = [amendment.n_complete for amendment in read_amendments(sweep)]
    if not seen:
        return ""
    times = "" if len(seen) == 1 else f" {len(seen)} times, the last time"
    return f" The claim was amended{times} after {count(seen[-1], 'complete trial')}."
