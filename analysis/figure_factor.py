"""One figure per factor: the primary metric at every level, seed by seed, and the other metrics in small panels.

In: values at the registered seeds. Drawn: every seed a faint dot, the dots of one block joined by a grey line,
the mean and its 95 % interval over seeds, and the trivial predictors as dashed lines.
"""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.coverage import rows_at
from analysis.figure_marks import describe_point
from analysis.figure_style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    SMALL_PT,
    VERMILLION,
    break_words,
    heading,
    mark,
    new_figure,
)
from analysis.load import StudyData
from analysis.mean_interval import estimate_mean
from analysis.table import predictor_score
from analysis.wording import (
    better_arrow,
    capitalised,
    decimals_of,
    metric_axis,
    metric_phrase,
    n_range,
    number,
    with_interval,
)
from foresight.compare import Estimate
from foresight.declared import FactorInfo
from foresight.metrics import METRICS

PANELS_PER_ROW = 3
SMALL_RADIUS = 2.8  # of a mark in a small panel, points
NOTE_CHARACTERS = 56  # of a line under the axis
PANEL_CHARACTERS = 16  # that fit above a small panel
NAMES_UNDER_PANEL = 11  # characters of all its levels, were each as long as the longest neighbours
# A trivial predictor farther below the data than this share of their spread is written at the edge, not drawn to scale:
# otherwise it would press all arms into a line.
ROOM_FOR_TRIVIAL = 0.8


def plot_factor(data: StudyData, factor: FactorInfo) -> Figure:
    """The primary metric on top, the other measured metrics below, levels in their declared order."""
    primary = data.claim.primary
    others = [metric for metric in data.metrics if metric != primary]
    n_rows = math.ceil(len(others) / PANELS_PER_ROW)
    figure = new_figure(2.6 + 1.15 * n_rows)
    grid = figure.add_gridspec(1 + n_rows, PANELS_PER_ROW, height_ratios=[2.1] + [1.0] * n_rows)
    values = level_values(data, factor, primary)
    n_seeds = [int(n) for n in values.groupby("level")["seed"].nunique()]
    shown = with_interval("mean over other factors" if data.is_factorial else "mean", n_seeds)
    heading(
        figure,
        f"{capitalised(factor.name)}: {metric_phrase(primary)}",
        f"{n_range(n_seeds, 'seed')}, {data.tested}; {shown}",
    )
    main = figure.add_subplot(grid[0, :])
    means = _plot_levels(main, factor, primary, values, radius=4.5)
    for i, point in means.items():
        of_level = values[values["level"] == i]
        estimate = estimate_mean(primary, of_level["value"].tolist())
        title = f"{factor.field}={factor.levels[i]}"
        mark(point, describe_point(title, primary, (estimate.mean, estimate.low, estimate.high), of_level))
    _mark_trivial(main, data)
    main.set_ylabel(f"{metric_axis(primary)} {better_arrow(primary)}")
    notes = _notes(factor)
    main.set_xlabel(f"{factor.field} (baseline in bold){notes}", loc="left" if notes else "center")
    main.set_xticks(range(len(factor.levels)), [_level_label(factor, level) for level in factor.levels])
    _embolden_baseline(main, factor)
    lengths = [len(str(level)) for level in factor.levels]
    # Names that would meet under a small panel are left out: there the order of the levels above has to do.
    short = (
        max((a + b) / 2 for a, b in pairwise(lengths)) * len(lengths) <= NAMES_UNDER_PANEL if len(lengths) > 1 else True
    )
    for i, metric in enumerate(others):
        panel = figure.add_subplot(grid[1 + i // PANELS_PER_ROW, i % PANELS_PER_ROW])
        _plot_levels(panel, factor, metric, level_values(data, factor, metric), radius=SMALL_RADIUS)
        name = break_words(f"{METRICS[metric].label}\N{NO-BREAK SPACE}{better_arrow(metric)}", PANEL_CHARACTERS)
        unit = break_words(METRICS[metric].unit, PANEL_CHARACTERS)
        panel.set_title(f"{name}\n{unit}", fontsize=SMALL_PT)
        panel.tick_params(labelsize=SMALL_PT - 0.5, pad=1.5)
        panel.locator_params(axis="y", nbins=3)
        panel.set_xticks(range(len(factor.levels)), [str(level) if short else "" for level in factor.levels])
        _embolden_baseline(panel, factor)
    return figure


def level_values(data: StudyData, factor: FactorInfo, metric: str) -> pd.DataFrame:
    """One row per level and seed: level (its place in `factor.levels`), seed, value, key of its trial.

    In a factorial the value is the mean over all arms with that level, and a seed counts only if it has all of them.
    """
    measured = data.registered[data.registered[f"test/{metric}"].notna()]
    rows = []
    for i, level in enumerate(factor.levels):
        mine = measured[rows_at(measured, data, factor, level)]
        n_arms = max(1, data.planned.loc[rows_at(data.planned, data, factor, level), "arm"].nunique())
        for seed, block in mine.groupby("seed"):
            if len(block) == n_arms:
                key = str(block["key"].iloc[0]) if n_arms == 1 else f"mean of {n_arms} trials"
                rows.append({"level": i, "seed": seed, "value": float(block[f"test/{metric}"].mean()), "key": key})
    return pd.DataFrame(rows, columns=["level", "seed", "value", "key"])


def _plot_levels(axes: Axes, factor: FactorInfo, metric: str, values: pd.DataFrame, radius: float) -> dict[int, Line2D]:
    """Draws the seeds and each level's mean with its interval; returns the means that there are."""
    means = {}
    for _, block in values.groupby("seed"):
        axes.plot(block["level"], block["value"], color=FAINT, linewidth=0.6, zorder=1)
    axes.plot(values["level"], values["value"], "o", color=FAINT, markersize=radius * 0.6, markeredgewidth=0, zorder=2)
    for i, level in enumerate(factor.levels):
        estimate = estimate_mean(metric, values.loc[values["level"] == i, "value"].tolist())
        if estimate.n:
            means[i] = _plot_estimate(axes, i, estimate, INK if level == factor.baseline_level else BLUE, radius)
            continue
        shown = "no value" if radius > SMALL_RADIUS else "–"  # beside others it would run into them
        axes.annotate(
            shown, (i, 0.02), xycoords=("data", "axes fraction"), ha="center", fontsize=SMALL_PT - 0.5, color=MUTED
        )
    axes.set_xlim(-0.5, len(factor.levels) - 0.5)
    axes.margins(y=0.12)
    return means


def _plot_estimate(axes: Axes, x: float, estimate: Estimate, colour: str, radius: float) -> Line2D:
    if not math.isnan(estimate.low):
        axes.plot([x, x], [estimate.low, estimate.high], color=colour, linewidth=1.4, solid_capstyle="butt", zorder=3)
    face = colour if estimate.n > 1 else "none"  # an open mark has no interval
    (point,) = axes.plot(x, estimate.mean, "o", color=colour, markerfacecolor=face, markersize=radius, zorder=4)
    return point


def _mark_trivial(axes: Axes, data: StudyData) -> None:
    """A dashed line for each trivial predictor; those far outside the data are named at the edge, with their value."""
    metric = data.claim.primary
    low, high = axes.get_ylim()
    room = ROOM_FOR_TRIVIAL * (high - low)
    beyond: dict[str, list[str]] = {"below": [], "above": []}
    scores = {predictor: predictor_score(data, predictor, metric) for predictor in data.predictors}
    scores = {predictor: score for predictor, score in scores.items() if not math.isnan(score)}
    for predictor, score in scores.items():
        name = f"{predictor.replace('_', ' ')} {number(score, decimals_of(metric))}"
        if score < low - room:
            beyond["below"].append(name)
        elif score > high + room:
            beyond["above"].append(name)
        else:
            axes.axhline(score, color=VERMILLION, linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
            is_highest = score == max(scores.values())  # named above its line, the others below theirs: they never meet
            end = _freer_side(axes, score)
            axes.annotate(
                name, (end, score), (0, 1.5 if is_highest else -2), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right" if end else "left", va="bottom" if is_highest else "top",
                fontsize=SMALL_PT, color=VERMILLION,
            )  # fmt: skip
    for side, (y, offset, arrow) in {"below": (0, 2, "↓"), "above": (1, -8, "↑")}.items():
        if beyond[side]:
            axes.annotate(
                f"{arrow} {', '.join(beyond[side])}", (1, y), (0, offset), xycoords="axes fraction",
                textcoords="offset points", ha="right", fontsize=SMALL_PT, color=VERMILLION,
            )  # fmt: skip


def _freer_side(axes: Axes, y: float) -> int:
    """0 or 1, the left or the right end of the axes, whichever is farther from what is drawn near its end at `y`."""
    left, right = axes.get_xlim()
    middle, gaps = (left + right) / 2, {0: math.inf, 1: math.inf}
    for line in axes.lines:
        if line.get_transform() == axes.transData:
            for x, value in np.asarray(line.get_xydata(), dtype=float):
                gaps[int(x > middle)] = min(gaps[int(x > middle)], abs(value - y))
    return int(gaps[1] >= gaps[0])


def _level_label(factor: FactorInfo, level: object) -> str:
    longest = max(6, 52 // len(factor.levels))  # characters of a tick label that fit side by side
    return break_words(str(level), longest)


def _notes(factor: FactorInfo) -> str:
    """What the levels stand for, a line each under the axis: beneath their ticks five notes would run together."""
    noted = [(level, factor.level_notes[str(level)]) for level in factor.levels if str(level) in factor.level_notes]
    return "".join(f"\n{break_words(f'{level}: {note}', NOTE_CHARACTERS)}" for level, note in noted)


def _embolden_baseline(axes: Axes, factor: FactorInfo) -> None:
    for level, label in zip(factor.levels, axes.get_xticklabels(), strict=True):
        if level == factor.baseline_level:
            label.set_fontweight("bold")
