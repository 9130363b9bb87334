"""How often verdicts are wrong, and how often a difference is seen: the stored simulation, drawn.

In: the rates of calibration.csv. Drawn: above, a row for each pattern of noise and in it one dot for each method, number of
seeds and of arms, against alpha and its simulation error; on the left where no arm differs, on the right where every arm is
worse by the margin. Below, power against the size of the difference.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.calibration import CHOSEN, FALSE, FALSE_NONINFERIOR, PAIRED_T, POOLED, POWER
from analysis.figure_style import BLUE, FAINT, INK, MUTED, ORANGE, SMALL_PT, break_words, heading, new_figure

COLOURS = {CHOSEN: BLUE, PAIRED_T: MUTED, POOLED: ORANGE}
MARKS = {CHOSEN: "o", PAIRED_T: "s", POOLED: "^"}
LINES = {3: ":", 5: "-"}  # by number of seeds
POWER_NOISE = "equal"


def plot_calibration(rates: pd.DataFrame) -> Figure:
    """The two panels of false verdicts beside each other, on one scale, and power under them."""
    figure = new_figure(6.2)
    panels = figure.subplot_mosaic([["left", "right"], ["below", "below"]], height_ratios=[1.9, 1])
    left, right, below = (panels[name] for name in ("left", "right", "below"))
    false, noninferior = (rates[rates["kind"] == kind] for kind in (FALSE, FALSE_NONINFERIOR))
    _plot_false(left, false, "better or worse,\nno arm differs")
    _plot_false(right, noninferior, "non-inferior,\nall lose the margin")
    right.set_xlim(left.get_xlim())
    right.set_yticklabels([])
    handles = [Line2D([], [], color=COLOURS[m], marker=MARKS[m], linestyle="", markersize=3, label=m) for m in COLOURS]
    right.legend(
        handles=handles, frameon=False, fontsize=SMALL_PT, loc="lower right", borderaxespad=0.3, handletextpad=0.2
    )
    power = rates[(rates["kind"] == POWER) & (rates["noise"] == POWER_NOISE) & rates["n_seeds"].isin(LINES)]
    _plot_power(below, power)
    heading(
        figure,
        "Can the verdicts be trusted?",
        f"{int(false['repetitions'].min()):,} simulated studies a dot; Holm over all arms",
    )
    return figure


def _plot_false(axes: Axes, false: pd.DataFrame, title: str) -> None:
    noises = list(dict.fromkeys(false["noise"]))
    alpha, n_studies = float(false["alpha"].iloc[0]), float(false["repetitions"].min())
    error = 1.96 * (alpha * (1 - alpha) / n_studies) ** 0.5
    axes.axvspan(alpha - error, alpha + error, color=FAINT, linewidth=0, zorder=0)
    axes.axvline(alpha, color=INK, linewidth=0.6, zorder=1)
    axes.annotate(f"alpha {alpha:g}", (alpha + error, 1), (2, -1), xycoords=("data", "axes fraction"),
                  textcoords="offset points", fontsize=SMALL_PT, va="top")  # fmt: skip
    for i, method in enumerate(COLOURS):
        rows = false[false["method"] == method]
        y = [noises.index(noise) + 0.27 * (i - 1) for noise in rows["noise"]]
        axes.plot(rows["rate"], y, MARKS[method], color=COLOURS[method], markersize=2.6, markeredgewidth=0, alpha=0.7)
    for row in range(1, len(noises)):
        axes.axhline(row - 0.5, color=FAINT, linewidth=0.5, zorder=0)
    axes.set_yticks(range(len(noises)), [break_words(noise, 16) for noise in noises], fontsize=SMALL_PT)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(noises) - 0.5, -1.3)
    axes.set_xlim(left=0)
    axes.set_xlabel("Share of studies ↓")
    axes.set_title(f"False {title}", fontsize=SMALL_PT)


def _plot_power(axes: Axes, power: pd.DataFrame) -> None:
    for method, colour in COLOURS.items():
        if method == POOLED:  # its power is bought with false verdicts
            continue
        for n_seeds, style in LINES.items():
            rows = power[(power["method"] == method) & (power["n_seeds"] == n_seeds)].sort_values("effect")
            axes.plot(rows["effect"], rows["rate"], style, color=colour, label=f"{method}, {n_seeds} seeds")
    axes.set_ylim(0, 1.02)
    axes.set_xlim(0, float(power["effect"].max()))
    axes.set_xlabel("True difference, in standard deviations between seeds")
    axes.set_ylabel("Power ↑")
    axes.set_title(f"One of {int(power['n_arms'].iloc[0])} arms differs, {POWER_NOISE} noise", fontsize=SMALL_PT)
    axes.legend(frameon=False, fontsize=SMALL_PT, loc="upper center", bbox_to_anchor=(0.4, -0.24), ncols=2)
