"""Quality against cost: the primary metric over each cost that was an objective, with the front of each pair.

In: the Pareto table. Drawn: every arm's mean and 95 % interval over seeds, the quartiles of its latency, the two-objective
front of the means as a step line, and by shape and colour how surely the arm is on the front over all objectives together,
which can hold arms that are on neither line. Arms surely on it and the baseline always have their name; others where there
is room. Arms far behind all others stand at the edge with their number (`analysis.far_arms`).
"""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from analysis.far_arms import FarArms, place_far_arms
from analysis.figure_marks import arm_values, describe_point
from analysis.figure_style import (
    BLUE,
    HEADING_IN,
    INK,
    MUTED,
    ORANGE,
    SKY,
    SMALL_PT,
    heading,
    mark,
    new_figure,
)
from analysis.front import on_front
from analysis.front_states import AMBIGUOUS, DOMINATED, ON_FRONT
from analysis.judged import UNKNOWN_IMAGES
from analysis.label_placement import POINT_PT, place_labels
from analysis.load import StudyData
from analysis.objectives import COSTS, LATENCY_QUARTILES
from analysis.wording import (
    better_arrow,
    capitalised,
    decimals_of,
    metric_axis,
    metric_phrase,
    n_range,
    number,
    quantity,
    short_arms,
    whole_percent,
    with_interval,
)
from foresight.metrics import METRICS
from foresight.space import BASELINE

AXIS_LABELS = {
    "params_trained": "Trained parameters",
    "params_total": "Parameters in all",
    "flops": "FLOPs of one image",
    "latency_ms": "Latency (ms)",
    "peak_memory_mb": "Peak memory (MB)",
    "train_s": "Training time (s)",
    "gpu_s": "GPU time (s)",
}
COUNTS = ("params_trained", "params_total", "flops")  # written 1 M
STATES = {  # marker, colour, whether it is filled
    ON_FRONT: ("D", BLUE, True),
    AMBIGUOUS: ("o", ORANGE, False),
    DOMINATED: ("v", MUTED, True),
}
WITHOUT_STATE = ("x", MUTED, True)
LONGEST_NAME = 28  # characters beside a point; names of factorial arms are sentences
MOST_INTERVALS = 60  # more arms than this and their intervals hide the points
WIDE_RANGE = 8  # costs that differ by more than this factor go on a logarithmic axis


def plotted_costs(pareto: pd.DataFrame) -> list[str]:
    """The costs that get a panel: those among the objectives; without any, trained parameters and latency if known.

    None where no arm may be compared with another: the line of the front would do so.
    """
    if not pareto["on_front"].any():
        return []
    used = pareto["objectives"].iloc[0].split() if len(pareto) else []
    chosen = [cost for cost in COSTS if cost in used]
    known = pareto.loc[pareto["state"] != UNKNOWN_IMAGES, list(COSTS)].notna().any()
    return chosen or [cost for cost in ("params_trained", "latency_ms") if known[cost]]


def plot_tradeoff(data: StudyData, pareto: pd.DataFrame) -> Figure:
    """One panel per cost of `plotted_costs`. Raises ValueError when there is none."""
    costs = plotted_costs(pareto)
    if not costs:
        raise ValueError("a trade-off needs a cost of at least one arm")
    figure = new_figure(HEADING_IN + 0.25 + 2.65 * len(costs))
    panels = figure.subplots(len(costs), 1, squeeze=False)[:, 0]
    metric, higher = data.claim.primary, METRICS[data.claim.primary].direction == "higher"
    n_seeds = [int(n) for n in pareto["n_seeds"]]
    shown = with_interval("mean", n_seeds) if len(pareto) <= MOST_INTERVALS else "mean"
    against = " and ".join(COSTS[cost][1] for cost in costs[:2])
    more = f" and {len(costs) - 2} more" if len(costs) > 2 else ""
    heading(
        figure,
        f"{capitalised(metric_phrase(metric))} against {against}{more}",
        f"{n_range(n_seeds, 'seed')}, {data.tested}; {shown}",
    )
    required = (pareto["arm"] == BASELINE) | (pareto["state"] == ON_FRONT)
    for cost in costs:
        required |= _pair_front(pareto[pareto[cost].notna()], cost, higher).reindex(pareto.index, fill_value=False)
    far = place_far_arms(pareto, higher, required)
    placed = pareto.assign(at=pareto["quality"] if far is None else pareto["quality"].mask(far.is_far, far.edge))
    drawn = []
    for axes, cost in zip(panels, costs, strict=True):
        rows = placed[placed[cost].notna()].reset_index(drop=True)
        drawn.append(_plot_panel(axes, data, rows, cost, higher))
        if far is not None:
            _point_to_far(axes, rows, cost, far)
        axes.set_xlabel(AXIS_LABELS[cost] + " ↓")
        axes.set_ylabel(f"{metric_axis(metric)} {better_arrow(metric)}")
    figure.legend(
        handles=_legend(pareto), loc="outside lower center", ncols=4, frameon=False, fontsize=SMALL_PT,
        handletextpad=0.2, columnspacing=1.0,
    )  # fmt: skip
    names = _names(pareto, far)
    figure.draw_without_rendering()  # names can be placed only once the axes have their final size
    for axes, cost, lines in zip(panels, costs, drawn, strict=True):
        rows = placed[placed[cost].notna()]
        required = (rows["arm"] == BASELINE) | (rows["state"] == ON_FRONT) | _pair_front(rows, cost, higher)
        required |= rows["at"] != rows["quality"]
        points = list(zip(rows[cost].astype(float), rows["at"], strict=True))
        _name_front(axes, lines[-1], points)
        place_labels(axes, points, [names[arm] for arm in rows["arm"]], required.tolist(), lines)
    return figure


def _names(pareto: pd.DataFrame, far: FarArms | None) -> dict[str, str]:
    """Arm to what stands beside its mark: a short name, of far arms also their number; nothing for long ones."""
    names = {arm: name if len(name) <= LONGEST_NAME else "" for arm, name in short_arms(pareto["arm"]).items()}
    if far is not None:
        decimals = decimals_of(pareto["metric"].iloc[0])
        for arm, quality in pareto.loc[far.is_far, ["arm", "quality"]].itertuples(index=False):
            names[arm] = f"{names[arm]} {number(quality, decimals)}".strip()
    return names


def _point_to_far(axes: Axes, rows: pd.DataFrame, cost: str, far: FarArms) -> None:
    """Ends the axis behind the edge, and draws an arrow there from every far arm."""
    axes.set_ylim(far.limits)
    end = min(far.limits, key=lambda limit: abs(limit - far.edge))
    for x in rows.loc[rows["at"] != rows["quality"], cost].astype(float):
        axes.annotate("", (x, end), (x, far.edge), arrowprops={"arrowstyle": "->", "linewidth": 0.8, "color": MUTED})


def _name_front(axes: Axes, front: Line2D, points: list[tuple[float, float]]) -> None:
    """Names the line of the front at its right end, above or below it, wherever it covers fewer points."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    pixels, found = axes.transData.transform(points), []
    for offset, va in ((2, "bottom"), (-2, "top")):
        text = axes.annotate(
            "front of the means", np.asarray(front.get_xydata())[-1], (-2, offset), textcoords="offset points", ha="right",
            va=va, fontsize=SMALL_PT, color=BLUE,
        )  # fmt: skip
        box = text.get_window_extent(renderer).padded(POINT_PT * figure.dpi / 72)
        found.append((sum(box.contains(x, y) for x, y in pixels), text))
    worse = max(found, key=lambda tried: tried[0])[1] if found[0][0] != found[1][0] else found[1][1]
    worse.remove()


def _pair_front(rows: pd.DataFrame, cost: str, higher: bool) -> pd.Series:
    """Which arms are on the front of the means of quality and this cost alone."""
    compared = rows[rows["state"] != UNKNOWN_IMAGES]
    is_on = pd.Series(on_front(compared[["quality", cost]].astype(float).to_numpy(), [higher, False]), compared.index)
    return is_on.reindex(rows.index, fill_value=False)


def _legend(pareto: pd.DataFrame) -> list[Line2D]:
    handles = []
    for state in [*STATES, ""]:
        is_there = pareto["state"].eq(state) if state else ~pareto["state"].isin(STATES)
        if is_there.any():
            handles.append(Line2D([], [], linestyle="none", label=state or "no verdict", **_mark(state)))
    return handles


def _mark(state: str) -> dict[str, Any]:
    marker, colour, is_filled = STATES.get(state, WITHOUT_STATE)
    size = 4.2 if marker in "Dvx" else 4.4
    return {"marker": marker, "color": colour, "markerfacecolor": colour if is_filled else "none", "markersize": size}


def _plot_panel(axes: Axes, data: StudyData, rows: pd.DataFrame, cost: str, higher: bool) -> list[Line2D]:
    """Draws one panel and returns the lines that names should not stand on."""
    x, y = rows[cost].astype(float), rows["at"]
    front = _pair_front(rows, cost, higher)
    lines = []
    for i, row in enumerate(rows.to_dict("records")):
        look = _mark(str(row["state"]))
        if y[i] == row["quality"] and not math.isnan(row["low"]) and len(rows) <= MOST_INTERVALS:
            ends = [row["low"], row["high"]]
            lines += axes.plot([x[i]] * 2, ends, color=look["color"], linewidth=0.8, alpha=0.5, zorder=2)
        if cost == "latency_ms" and not math.isnan(row[LATENCY_QUARTILES[0]]) and len(rows) <= MOST_INTERVALS:
            ends = [row[name] for name in LATENCY_QUARTILES]
            lines += axes.plot(ends, [y[i]] * 2, color=look["color"], linewidth=0.8, alpha=0.5, zorder=2)
        look["markeredgecolor"] = INK if row["arm"] == BASELINE else look["color"]
        (point,) = axes.plot(x[i], y[i], linestyle="none", markeredgewidth=0.9, zorder=4 if front[i] else 3, **look)
        at = f"{AXIS_LABELS[cost]}: {quantity(x[i]) if cost in COUNTS else number(x[i], 1)}"
        at += f"; {row['state']}" + (
            "" if math.isnan(row["p_front"]) else f" (on it in {whole_percent(row['p_front'])} of the draws)"
        )
        values = arm_values(data, row["arm"], data.claim.primary)
        mark(
            point, describe_point(row["arm"], data.claim.primary, (row["quality"], row["low"], row["high"]), values, at)
        )
    if x.min() > 0 and x.max() / x.min() > WIDE_RANGE:
        axes.set_xscale("log")
    if cost in COUNTS:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: quantity(value)))
    axes.margins(x=0.18, y=0.12)
    best = rows[front].sort_values(cost)
    # The front as corners: quality holds from one arm's cost to the next, then steps.
    corners = [(c, q) for c, q in zip(best[cost].astype(float), best["quality"], strict=True)]
    steps = [corners[0]]
    for (_, before), (c, q) in pairwise(corners):
        steps += [(c, before), (c, q)]
    steps.append((axes.get_xlim()[1], corners[-1][1]))
    lines += axes.plot(*zip(*steps, strict=True), color=SKY, linewidth=1.2, zorder=1, scalex=False, scaley=False)
    return lines
