"""One figure per factor: the primary metric at every level, seed by seed, and the other metrics in small panels.

In: per-seed values of the complete trials. Drawn: every seed a faint dot, the dots of one block joined by a grey line,
the mean and its 95 % interval over seeds, and the trivial predictors as dashed lines.
"""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.coverage import rows_at
from analysis.figure_style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    SMALL_PT,
    VERMILLION,
    break_words,
    capitalised,
    heading,
    new_figure,
)
from analysis.load import FactorInfo, StudyData
from analysis.table import predictor_score
from analysis.wording import better_arrow, decimals_of, metric_axis, metric_phrase, n_range, number, with_interval
from foresight.compare import Estimate, compute_estimate
from foresight.metrics import METRICS

PANELS_PER_ROW = 3
PANEL_CHARACTERS = 18  # that fit above a small panel
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
        f"{n_range(n_seeds, 'seed')}, {data.tested_on()}; {shown}",
    )
    main = figure.add_subplot(grid[0, :])
    _plot_levels(main, factor, values, radius=4.5)
    _mark_trivial(main, data)
    main.set_ylabel(f"{metric_axis(primary)} {better_arrow(primary)}")
    main.set_xlabel(f"{factor.field} (baseline in bold)")
    main.set_xticks(range(len(factor.levels)), [_level_label(factor, level) for level in factor.levels])
    _embolden_baseline(main, factor)
    # Long names would take more room than the panel: there the order of the levels above has to do.
    short = max(len(str(level)) for level in factor.levels) * len(factor.levels) <= 16
    for i, metric in enumerate(others):
        panel = figure.add_subplot(grid[1 + i // PANELS_PER_ROW, i % PANELS_PER_ROW])
        _plot_levels(panel, factor, level_values(data, factor, metric), radius=2.8)
        name = break_words(METRICS[metric].label, PANEL_CHARACTERS)
        unit = break_words(f"{METRICS[metric].unit} {better_arrow(metric)}", PANEL_CHARACTERS)
        panel.set_title(f"{name}\n{unit}", fontsize=SMALL_PT)
        panel.tick_params(labelsize=SMALL_PT - 0.5, pad=1.5)
        panel.locator_params(axis="y", nbins=3)
        panel.set_xticks(range(len(factor.levels)), [str(level) if short else "" for level in factor.levels])
        _embolden_baseline(panel, factor)
    return figure


def level_values(data: StudyData, factor: FactorInfo, metric: str) -> pd.DataFrame:
    """One row per level and seed: level (its place in `factor.levels`), seed, value.

    In a factorial the value is the mean over all arms with that level, and a seed counts only if it has all of them.
    """
    measured = data.complete[data.complete[f"test/{metric}"].notna()]
    rows = []
    for i, level in enumerate(factor.levels):
        mine = measured[rows_at(measured, data, factor, level)]
        n_arms = max(1, data.planned.loc[rows_at(data.planned, data, factor, level), "arm"].nunique())
        for seed, block in mine.groupby("seed"):
            if len(block) == n_arms:
                rows.append({"level": i, "seed": seed, "value": float(block[f"test/{metric}"].mean())})
    return pd.DataFrame(rows, columns=["level", "seed", "value"])


def _plot_levels(axes: Axes, factor: FactorInfo, values: pd.DataFrame, radius: float) -> None:
    for _, block in values.groupby("seed"):
        axes.plot(block["level"], block["value"], color=FAINT, linewidth=0.6, zorder=1)
    axes.plot(values["level"], values["value"], "o", color=FAINT, markersize=radius * 0.6, markeredgewidth=0, zorder=2)
    for i, level in enumerate(factor.levels):
        estimate = compute_estimate(values.loc[values["level"] == i, "value"].tolist())
        _plot_estimate(axes, i, estimate, INK if level == factor.baseline_level else BLUE, radius)
    axes.set_xlim(-0.5, len(factor.levels) - 0.5)
    axes.margins(y=0.12)


def _plot_estimate(axes: Axes, x: float, estimate: Estimate, colour: str, radius: float) -> None:
    if estimate.n == 0:
        axes.annotate(
            "no trial", (x, 0.02), xycoords=("data", "axes fraction"), ha="center", fontsize=SMALL_PT - 0.5, color=MUTED
        )
        return
    if not math.isnan(estimate.low):
        axes.plot([x, x], [estimate.low, estimate.high], color=colour, linewidth=1.4, solid_capstyle="butt", zorder=3)
    face = colour if estimate.n > 1 else "none"  # an open mark has no interval
    axes.plot(x, estimate.mean, "o", color=colour, markerfacecolor=face, markersize=radius, zorder=4)


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
            axes.annotate(
                name, (1, score), (0, 1.5 if is_highest else -2), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right", va="bottom" if is_highest else "top",
                fontsize=SMALL_PT, color=VERMILLION,
            )  # fmt: skip
    for side, (y, offset, arrow) in {"below": (0, 2, "↓"), "above": (1, -8, "↑")}.items():
        if beyond[side]:
            axes.annotate(
                f"{arrow} {', '.join(beyond[side])}", (1, y), (0, offset), xycoords="axes fraction",
                textcoords="offset points", ha="right", fontsize=SMALL_PT, color=VERMILLION,
            )  # fmt: skip


def _level_label(factor: FactorInfo, level: object) -> str:
    longest = max(6, 52 // len(factor.levels))  # characters of a tick label that fit side by side
    note = factor.level_notes.get(str(level))
    return break_words(str(level), longest) + ("\n" + break_words(f"({note})", longest) if note else "")


def _embolden_baseline(axes: Axes, factor: FactorInfo) -> None:
    for level, label in zip(factor.levels, axes.get_xticklabels(), strict=True):
        if level == factor.baseline_level:
            label.set_fontweight("bold")
