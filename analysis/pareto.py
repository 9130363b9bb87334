"""The Pareto front of the arms: test quality against trained parameters and latency.

In: the ablation table. Out: a frame with PARETO_COLUMNS, one row per arm with a mean, best quality first. Objectives
are means over seeds: two arms whose intervals overlap may change places on the front in another run.
"""

import numpy as np
import pandas as pd
from moocore import is_nondominated

PARETO_COLUMNS = (
    "arm", "metric", "n_seeds", "n_test", "quality", "low", "high", "params_trained", "latency_ms", "objectives",
    "on_front",
)  # fmt: skip
COST_OBJECTIVES = ("params_trained", "latency_ms")


def build_pareto(table: pd.DataFrame) -> pd.DataFrame:
    """PARETO_COLUMNS; `quality` is the primary metric, `objectives` names what the front was computed over.

    A cost enters only if it is known for every arm, so that no arm gains by a measurement it lacks. Arms with equal
    objectives are on the front together.
    """
    arms = table[(table["kind"] == "arm") & (table["role"] == "primary") & table["mean"].notna()]
    front = arms.rename(columns={"mean": "quality"}).reindex(columns=list(PARETO_COLUMNS)).reset_index(drop=True)
    costs = [name for name in COST_OBJECTIVES if front[name].notna().all()]
    higher = bool((arms["direction"] == "higher").all())
    front["objectives"] = " ".join(["quality", *costs])
    front["on_front"] = on_front(front, costs, higher)
    return front.sort_values("quality", ascending=not higher, kind="stable").reset_index(drop=True)


def on_front(rows: pd.DataFrame, costs: list[str], higher_is_better: bool) -> np.ndarray:
    """True where no other row is at least as good in `quality` and every cost and better in one."""
    points = rows[["quality", *costs]].astype(float).to_numpy()
    return is_nondominated(points, maximise=[higher_is_better] + [False] * len(costs), keep_weakly=True)


def describe_pareto(pareto: pd.DataFrame) -> list[str]:
    """What the front was computed over and how far it can be trusted."""
    first = pareto.iloc[0]
    objectives = first["objectives"].replace("quality", first["metric"]).replace(" ", ", ")
    return [f"Objectives: {objectives}. Means over seeds: arms whose intervals overlap may change places."]
