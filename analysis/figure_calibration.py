"""How often verdicts are wrong where nothing differs, and how often a difference is seen: the stored simulation, drawn.

In: the rates of calibration.csv. Drawn: above, one dot for each number of seeds and arms, by pattern of noise and method,
against alpha and its simulation error; below, power against the size of the difference.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.calibration import CHOSEN, FALSE, PAIRED_T, POOLED, POWER
from analysis.figure_style import BLUE, FAINT, INK, MUTED, ORANGE, SMALL_PT, break_words, heading, new_figure

COLOURS = {CHOSEN: BLUE, PAIRED_T: MUTED, POOLED: ORANGE}
MARKS = {CHOSEN: "o", PAIRED_T: "s", POOLED: "^"}
LINES = {3: ":", 5: "-"}  # by number of seeds
POWER_NOISE = "equal"


def plot_calibration(rates: pd.DataFrame) -> Figure:
    """Both panels, one under the other."""
    figure = new_figure(4.6)
    above, below = figure.subplots(2, 1, height_ratios=[1.15, 1])
    false = rates[rates["kind"] == FALSE]
    _plot_false(above, false)
    power = rates[(rates["kind"] == POWER) & (rates["noise"] == POWER_NOISE) & rates["n_seeds"].isin(LINES)]
    _plot_power(below, power)
    heading(
        figure,
        "Can the verdicts be trusted?",
        f"{int(false['repetitions'].min()):,} simulated studies a dot; two-sided, Holm over all arms",
    )
    return figure


def _plot_false(axes: Axes, false: pd.DataFrame) -> None:
    noises = list(dict.fromkeys(false["noise"]))
    alpha, n_studies = float(false["alpha"].iloc[0]), float(false["repetitions"].min())
    error = 1.96 * (alpha * (1 - alpha) / n_studies) ** 0.5
    axes.axhspan(alpha - error, alpha + error, color=FAINT, linewidth=0, zorder=0)
    axes.axhline(alpha, color=INK, linewidth=0.6, zorder=1)
    axes.annotate(f"alpha {alpha:g}", (0, alpha + error), (2, 1), xycoords=("axes fraction", "data"),
                  textcoords="offset points", fontsize=SMALL_PT)  # fmt: skip
    for i, method in enumerate(COLOURS):
        rows = false[false["method"] == method]
        x = [noises.index(noise) + 0.25 * (i - 1) for noise in rows["noise"]]
        axes.plot(x, rows["rate"], MARKS[method], color=COLOURS[method], markersize=2.4, markeredgewidth=0, alpha=0.75)
    axes.set_xticks(range(len(noises)), [break_words(noise.replace("lognormal", "log- normal"), 8) for noise in noises],
                    fontsize=SMALL_PT)  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.set_ylabel("Studies with a false verdict ↓")
    n_arms, n_seeds = sorted(false["n_arms"].unique()), sorted(false["n_seeds"].unique())
    arms, seeds = (", ".join(map(str, n)) for n in (n_arms, n_seeds))
    axes.set_title(f"No arm differs: {arms} arms at {seeds} seeds", fontsize=SMALL_PT)
    handles = [Line2D([], [], color=COLOURS[m], marker=MARKS[m], linestyle="", markersize=3, label=m) for m in COLOURS]
    axes.legend(
        handles=handles, frameon=False, fontsize=SMALL_PT, loc="upper right", borderaxespad=0, handletextpad=0.2
    )


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
    axes.legend(frameon=False, fontsize=SMALL_PT, loc="lower right", bbox_to_anchor=(1, 0.27), handlelength=1.8)
