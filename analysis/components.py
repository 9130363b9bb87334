"""Where time and memory go: each component of the pipeline in each arm of a study that measures time.

In: the complete trials at the registered seeds. Out: a frame with COMPONENT_COLUMNS, a row per arm and
component. Memory is of weights and, on a GPU, the peak with what the component allocates beside them; a CPU does not tell
its peak.
"""

import pandas as pd

from analysis.load import StudyData
from analysis.mean_interval import estimate_mean
from analysis.wording import interval, number, whole_percent

COMPONENTS = {"vlm": "VLM", "dinov2": "DINOv2", "fusion": "fusion or adapter", "decoder": "decoder"}
COMPONENT_COLUMNS = (
    "arm", "component", "n_seeds", "latency_ms", "low", "high", "share_frac", "weights_mb", "peak_mb", "keys",
)  # fmt: skip


def build_components(data: StudyData) -> pd.DataFrame:
    """One row per arm and component that was timed, latency with its 95 % interval over seeds; else empty."""
    rows = []
    for arm in data.arms:
        trials = data.registered[data.registered["arm"] == arm]
        total_ms = trials.get("test/latency_ms", pd.Series(dtype=float)).astype(float)
        for name, label in COMPONENTS.items():
            times = trials.get(f"test/latency_{name}_ms", pd.Series(dtype=float)).dropna().astype(float)
            if times.empty:
                continue
            found = estimate_mean(f"latency_{name}_ms", times.tolist())
            rows.append(
                {
                    "arm": arm,
                    "component": label,
                    "n_seeds": found.n,
                    "latency_ms": found.mean,
                    "low": found.low,
                    "high": found.high,
                    "share_frac": float((times / total_ms).mean()),
                    "weights_mb": _mean(trials, f"latency/{name}_weights_mb"),
                    "peak_mb": _mean(trials, f"latency/{name}_peak_mb"),
                    "keys": " ".join(trials.loc[times.index, "key"]),
                }
            )
    return pd.DataFrame(rows, columns=list(COMPONENT_COLUMNS))


def describe_components(components: pd.DataFrame) -> list[str]:
    """The component that takes most of the first arm's time, which is the baseline's."""
    first = components[components["arm"] == components["arm"].iloc[0]]
    most = first.loc[first["latency_ms"].idxmax()]
    shown = f"{number(most['latency_ms'], 1)} {interval(most['low'], most['high'], 1)}".strip()
    return [
        f"Most of the time of {most['arm']} goes into {most['component']}: {shown} ms, "
        f"{whole_percent(most['share_frac'])} of a pass (n = {most['n_seeds']} seeds)."
    ]


def _mean(trials: pd.DataFrame, column: str) -> float:
    return float(trials[column].astype(float).mean()) if column in trials else float("nan")
