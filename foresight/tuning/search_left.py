"""How many trials a search may still come to, read from its run log alone."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from foresight.tuning.search_record import number_of


def count_left(search: Mapping[str, Any], manifest: pd.DataFrame, trials: pd.DataFrame) -> int:
    """At most so many trials are to come. `search` is that part of sweep.json, `trials` the finished ones of the manifest.

    A proposal that failed or was stopped at a seed is decided, and one outside the space is given up: of these only trials that
    have begun are left. One that was refused, or repeated another, has no trials; where the last ones were, `came_to` says how
    many proposals there have been.
    """
    if not len(manifest):
        return int(search["proposals"] * search["seeds"])
    came_to = search.get("came_to", {})
    n_planned, n_ended = Counter(manifest["arm"]), Counter(trials["arm"])
    over = set(trials["arm"][trials["status"] != "complete"])
    over |= {arm for arm in n_planned if number_of(arm) in came_to.get("outside", ())}
    begun = sum((n if arm in over else max(n, search["seeds"])) - n_ended[arm] for arm, n in n_planned.items())
    made = max(1 + max(map(number_of, n_planned)), came_to.get("made", 0))
    return int(begun + max(0, search["proposals"] - made) * search["seeds"])
