"""Learning curves: the validation metric per epoch, one panel per factor.

In: epochs.parquet of the complete trials. Drawn: the median of each level's trials, and their range as a band.
"""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.coverage import rows_at
from analysis.figure_style import CYCLE, HEADING_IN, INK, SMALL_PT, TEXT_PT, break_words, heading, new_figure
from analysis.load import StudyData
from analysis.wording import better_arrow, metric_axis, metric_phrase, n_range
from foresight.metrics import METRICS
from foresight.space import BASELINE

PANELS_PER_ROW = 2
TITLE_CHARACTERS = 22  # of a line above a panel
LINE_OF_TEXT = 0.085  # of the height of a panel
MOST_ROOM = 0.6  # of that height, left free for the names of the levels


def curve_metric(data: StudyData) -> str | None:
    """The primary metric if it was recorded on validation images, else the first declared metric that was."""
    recorded = [name for name in (data.claim.primary, *METRICS) if f"val/{name}" in data.curves]
    return recorded[0] if recorded else None


def plot_learning(data: StudyData, metric: str) -> Figure:
    """One panel per factor, the baseline's level in ink; in a factorial a level pools all arms that have it."""
    curves, panels = data.curves, _panels(data)
    n_rows = math.ceil(len(panels) / PANELS_PER_ROW)
    figure = new_figure(HEADING_IN + 0.3 + 1.7 * n_rows)
    grid = figure.subplots(n_rows, min(PANELS_PER_ROW, len(panels)), sharex=True, sharey=True, squeeze=False)
    column, rising = f"val/{metric}", METRICS[metric].direction == "higher"
    for i, (name, levels) in enumerate(panels):
        axes = grid[i // PANELS_PER_ROW, i % PANELS_PER_ROW]
        axes.set_title(break_words(name, TITLE_CHARACTERS), fontsize=TEXT_PT, fontweight="bold")
        colours = iter(CYCLE * math.ceil(len(levels) / len(CYCLE)))
        entries = []
        for label, is_baseline, arms in levels:
            colour = INK if is_baseline else next(colours)
            by_epoch = curves[curves["arm"].isin(arms)].groupby("epoch")[column]
            median = by_epoch.median()
            axes.fill_between(median.index, by_epoch.min(), by_epoch.max(), color=colour, alpha=0.15, linewidth=0)
            axes.plot(median.index, median, color=colour, zorder=3 if is_baseline else 2)
            entries.append((label if len(median) else f"{label} (no curve)", colour))
        _write_levels(axes, entries, rising)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axes in grid.ravel()[len(panels) :]:
        axes.remove()
    low, high = grid[0, 0].get_ylim()
    share = min(MOST_ROOM, LINE_OF_TEXT * (0.6 + max(len(levels) for _, levels in panels)))
    room = share / (1 - share) * (high - low)  # below rising curves, above falling ones; the axes share it
    grid[0, 0].set_ylim((low - room, high) if rising else (low, high + room))
    grid[0, 0].locator_params(axis="y", nbins=8)
    # No tick in that room: a negative share of a picture would be read as a value.
    grid[0, 0].set_yticks([tick for tick in grid[0, 0].get_yticks() if low <= tick <= high])
    figure.supxlabel("Epoch", fontsize=TEXT_PT)
    figure.supylabel(f"{metric_axis(metric)} {better_arrow(metric)}", fontsize=TEXT_PT)
    n_seeds = [int(n) for n in curves.groupby("arm")["seed"].nunique()]
    heading(
        figure,
        f"Learning curves: validation {metric_phrase(metric)}",
        f"{n_range(n_seeds, 'seed')}, {_n_val(data)}median and range",
    )
    return figure


def _n_val(data: StudyData) -> str:
    column = "config/data.n_val"
    sizes = set(data.complete[column].dropna().astype(int)) if column in data.complete else set()
    return f"{sizes.pop()} validation images; " if len(sizes) == 1 else ""


def _panels(data: StudyData) -> list[tuple[str, list[tuple[str, bool, list[str]]]]]:
    """Per panel its name and its levels: label, whether it is the baseline's, and the arms it pools."""
    if not data.factors:
        return [("all arms", [(arm, arm == BASELINE, [arm]) for arm in data.arms])]
    panels = []
    for factor in data.factors:
        levels = []
        for level in factor.levels:
            arms = data.complete.loc[rows_at(data.complete, data, factor, level), "arm"]
            levels.append((str(level), level == factor.baseline_level, arms.unique().tolist()))
        panels.append((factor.name, levels))
    return panels


def _write_levels(axes: Axes, entries: list[tuple[str, str]], rising: bool) -> None:
    """The levels, each beside a stroke in the colour of its line, in the right corner that curves leave free."""
    for i, (label, colour) in enumerate(reversed(entries) if rising else entries):
        y = (0.06 if rising else 0.94) + (1 if rising else -1) * LINE_OF_TEXT * i
        axes.plot([0.92, 0.98], [y, y], transform=axes.transAxes, color=colour, linewidth=1.6)
        axes.text(0.90, y, label, transform=axes.transAxes, ha="right", va="center_baseline", fontsize=SMALL_PT)
