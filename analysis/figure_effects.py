"""The overview: every arm's paired difference from the baseline with its interval, grouped by factor.

In: the verdicts of a study. Drawn: difference and 95 % interval on the primary metric, the margin as a band, the
verdict as a word beside each line and as its colour.
"""

import math

import pandas as pd
from matplotlib.figure import Figure

from analysis.figure_marks import arm_values, describe_trials
from analysis.figure_style import (
    BLUE,
    FAINT,
    GREEN,
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
from analysis.wording import metric_axis, metric_phrase, n_range, short_arms, short_verdict, with_interval
from foresight.metrics import METRICS

COLOURS = {"better": GREEN, "worse": VERMILLION, "non-inferior": BLUE}  # any other verdict is grey
ROW_IN = 0.165
LONGEST_FACTOR = 16  # characters of a line of a factor's name, beside the axes


def plot_effects(data: StudyData, verdicts: pd.DataFrame) -> Figure:
    """One line per arm, the factors one under the other."""
    arms = verdicts[verdicts["kind"] == "arm"]
    names = short_arms(arms["name"])
    n_lines = sum(1.25 + break_words(name, LONGEST_FACTOR).count("\n") for name in arms["factor"].unique())
    figure = new_figure(0.95 + ROW_IN * (len(arms) + n_lines))
    axes = figure.add_subplot()
    y, ticks, labels = 0.0, [], []
    for factor, family in arms.groupby("factor", sort=False):
        name = break_words(str(factor), LONGEST_FACTOR)
        y += 0.9 * name.count("\n")  # room for the lines above the last
        axes.annotate(
            name, (0, y + 0.4), (-4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            ha="right", va="bottom", fontweight="bold",
        )  # fmt: skip
        y += 1
        for _, row in family.iterrows():
            colour = COLOURS.get(row["verdict"], MUTED)
            if not math.isnan(row["low"]):
                axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
            face = colour if row["verdict"] in COLOURS else "none"
            (point,) = axes.plot(row["estimate"], y, "o", color=colour, markerfacecolor=face, markersize=4)
            values = arm_values(data, row["name"], row["metric"])
            mark(point, "\n".join([row["sentence"], *describe_trials(row["metric"], values)]))
            axes.annotate(
                short_verdict(row["verdict"]), (1, y), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                va="center", fontsize=SMALL_PT, color=colour,
            )  # fmt: skip
            ticks.append(y)
            labels.append(row["level"] if row["level"] else names[row["name"]])
            y += 1
        y += 0.25
    metric, sign = data.claim.primary, 1 if METRICS[data.claim.primary].direction == "higher" else -1
    axes.axvline(0, color=INK, linewidth=0.6, zorder=0)
    axes.axvspan(*sorted((0, -sign * data.claim.margin)), color=FAINT, alpha=0.45, linewidth=0, zorder=-1)
    axes.set_yticks(ticks, labels)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(y - 0.5, -0.8)
    axes.margins(x=0.04)
    axes.locator_params(axis="x", nbins=4)
    better = "better →" if sign > 0 else "← better"
    axes.set_xlabel(
        f"Difference from the baseline\n{metric_axis(metric)}   {better}\ngrey band: margin of {data.claim.margin:g}"
    )
    n_pairs = [int(n) for n in arms["n_seeds"]]
    heading(
        figure,
        f"Effects on {metric_phrase(metric)}",
        f"{n_range(n_pairs, 'paired seed')}, {data.tested}; {with_interval('difference', n_pairs)}",
    )
    return figure
