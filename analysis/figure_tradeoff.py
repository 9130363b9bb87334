"""Quality against cost: the primary metric over trained parameters and over latency, with the front of each pair.

In: the Pareto table. Drawn: every arm's mean and 95 % interval over seeds, the two-objective front as a step line. The
three-objective front of `pareto_front.csv` can hold arms that are on neither line. Arms on a front and the baseline
always have their name; others where there is room.
"""

import math
from itertools import pairwise

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from analysis.figure_marks import arm_values, describe_point
from analysis.figure_style import BLUE, HEADING_IN, INK, MUTED, SKY, SMALL_PT, capitalised, heading, mark, new_figure
from analysis.label_placement import place_labels
from analysis.load import StudyData
from analysis.pareto import on_front
from analysis.wording import (
    better_arrow,
    metric_axis,
    metric_phrase,
    n_range,
    number,
    quantity,
    short_arms,
    with_interval,
)
from foresight.metrics import METRICS
from foresight.space import BASELINE

AXIS_LABELS = {"params_trained": "Trained parameters", "latency_ms": "Latency (ms)"}
LONGEST_NAME = 28  # characters beside a point; names of factorial arms are sentences
MOST_INTERVALS = 60  # more arms than this and their intervals hide the points
WIDE_RANGE = 8  # costs that differ by more than this factor go on a logarithmic axis


def plot_tradeoff(data: StudyData, pareto: pd.DataFrame) -> Figure:
    """One panel per cost that at least one arm has. Raises ValueError when there is none."""
    costs = [cost for cost in AXIS_LABELS if pareto[cost].notna().any()]
    if not costs:
        raise ValueError("a trade-off needs trained parameters or latency of at least one arm")
    figure = new_figure(HEADING_IN + 2.65 * len(costs))
    panels = figure.subplots(len(costs), 1, squeeze=False)[:, 0]
    metric = data.claim.primary
    n_seeds = [int(n) for n in pareto["n_seeds"]]
    shown = with_interval("mean", n_seeds) if len(pareto) <= MOST_INTERVALS else "mean"
    against = " and ".join(AXIS_LABELS[cost].split(" (")[0].lower() for cost in costs)
    heading(
        figure,
        f"{capitalised(metric_phrase(metric))} against {against}",
        f"{n_range(n_seeds, 'seed')}, {data.n_test} {data.items}; {shown}",
    )
    drawn = []
    for axes, cost in zip(panels, costs, strict=True):
        rows = pareto[pareto[cost].notna()].reset_index(drop=True)
        drawn.append(_plot_panel(axes, data, rows, cost, METRICS[metric].direction == "higher"))
        axes.set_xlabel(AXIS_LABELS[cost] + " ↓")
        axes.set_ylabel(f"{metric_axis(metric)} {better_arrow(metric)}")
    names = short_arms(pareto["arm"])
    figure.draw_without_rendering()  # names can be placed only once the axes have their final size
    for axes, cost, lines in zip(panels, costs, drawn, strict=True):
        rows = pareto[pareto[cost].notna()]
        required = (rows["arm"] == BASELINE) | on_front(rows, [cost], METRICS[metric].direction == "higher")
        points = list(zip(rows[cost].astype(float), rows["quality"], strict=True))
        place_labels(
            axes,
            points,
            [names[arm] if len(names[arm]) <= LONGEST_NAME else "" for arm in rows["arm"]],
            required.tolist(),
            lines,
        )
    return figure


def _plot_panel(axes: Axes, data: StudyData, rows: pd.DataFrame, cost: str, higher: bool) -> list[Line2D]:
    """Draws one panel and returns the lines that names should not stand on."""
    x, y = rows[cost].astype(float), rows["quality"]
    front = on_front(rows, [cost], higher)
    lines = []
    for i, (arm, low, high) in enumerate(zip(rows["arm"], rows["low"], rows["high"], strict=True)):
        colour = INK if arm == BASELINE else BLUE if front[i] else MUTED
        if not math.isnan(low) and len(rows) <= MOST_INTERVALS:
            lines += axes.plot([x[i], x[i]], [low, high], color=colour, linewidth=0.7, alpha=0.45, zorder=2)
        (point,) = axes.plot(
            x[i], y[i], "o", color=colour, markersize=3.6, zorder=4 if front[i] or arm == BASELINE else 3
        )
        at = f"{AXIS_LABELS[cost]}: {quantity(x[i]) if cost == 'params_trained' else number(x[i], 1)}"
        values = arm_values(data, arm, data.claim.primary)
        mark(point, describe_point(arm, data.claim.primary, (y[i], low, high), values, at))
    if x.min() > 0 and x.max() / x.min() > WIDE_RANGE:
        axes.set_xscale("log")
    if cost == "params_trained":
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
    axes.annotate("front", steps[-1], (-2, 2), textcoords="offset points", ha="right", fontsize=SMALL_PT, color=BLUE)
    return lines
