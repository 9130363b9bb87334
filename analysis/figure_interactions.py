"""The strongest interactions of a factorial: what each pair of levels adds to the sum of its two main effects.

In: the terms and effects of a factorial. Drawn: one small table of colours per interaction, green where the pair is
better than its main effects promise, vermillion where it is worse; in bold if its interval over seeds leaves out zero.
"""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from analysis.figure_style import (
    GREEN,
    HEADING_IN,
    INK,
    PAPER,
    SMALL_PT,
    VERMILLION,
    break_words,
    heading,
    new_figure,
)
from analysis.load import StudyData
from analysis.wording import count, decimals_of, metric_phrase, p_value, signed
from foresight.metrics import METRICS

MOST_PANELS = 4
PANELS_PER_ROW = 2
LONGEST_LINE = 20  # characters of a line above a panel
LONGEST_LEVEL = 9  # characters of a line of a level's name
WORSE_TO_BETTER = LinearSegmentedColormap.from_list("worse to better", [VERMILLION, PAPER, GREEN])
PALEST_TEXT = 0.75  # of the colour scale: beyond it, numbers are written in the colour of paper


def strongest_interactions(terms: pd.DataFrame) -> pd.DataFrame:
    """The interactions that are drawn: by adjusted p, then by their share of the variance, at most MOST_PANELS.

    None with one seed: without an interval, a table of colours is a picture of noise.
    """
    found = terms[(terms["kind"] == "interaction") & (terms["n_seeds"] > 1)]
    return found.sort_values(["p_holm", "variance_share"], ascending=[True, False], kind="stable").head(MOST_PANELS)


def plot_interactions(data: StudyData, terms: pd.DataFrame, effects: pd.DataFrame) -> Figure:
    """One panel per interaction of `strongest_interactions`, all on one scale of colours."""
    shown = strongest_interactions(terms)
    tables = {name: effects[effects["term"] == name] for name in shown["term"]}
    n_rows = math.ceil(len(shown) / PANELS_PER_ROW)
    figure = new_figure(HEADING_IN + 1.9 * n_rows)
    n_columns = min(PANELS_PER_ROW, len(shown))
    panels = figure.subplots(n_rows, n_columns, squeeze=False).flat
    largest = max(float(table["effect"].abs().max()) for table in tables.values()) or 1.0
    for axes, (_, term) in zip(panels, shown.iterrows(), strict=False):
        _plot_table(axes, data, tables[term["term"]], largest)
        p = "no test" if math.isnan(term["p_holm"]) else f"p {p_value(term['p_holm'])}"
        title = f"{break_words(term['term'], LONGEST_LINE)}\n{100 * term['variance_share']:.1f} %, {p}"
        axes.set_title(title, fontsize=SMALL_PT - 0.5)
    for axes in list(panels)[len(shown) :]:
        axes.set_axis_off()
    seeds = count(int(shown["n_seeds"].max()), "seed")
    metric = data.claim.primary
    heading(
        figure,
        f"Interactions on {metric_phrase(metric)}",
        f"{seeds}, {data.tested}; what a pair adds to its main effects",
    )
    return figure


def _plot_table(axes: Axes, data: StudyData, table: pd.DataFrame, largest: float) -> None:
    rows, columns = list(dict.fromkeys(table["level_a"])), list(dict.fromkeys(table["level_b"]))
    metric = data.claim.primary
    sign = 1 if METRICS[metric].direction == "higher" else -1
    values = table["effect"].to_numpy().reshape(len(rows), len(columns))
    is_sure = ((table["low"] > 0) | (table["high"] < 0)).to_numpy().reshape(values.shape)
    axes.imshow(sign * values, cmap=WORSE_TO_BETTER, vmin=-largest, vmax=largest, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        colour = PAPER if abs(value) > PALEST_TEXT * largest else INK
        text = signed(value, decimals_of(metric))
        text = text.replace("0.", ".", 1) if abs(value) < 1 else text  # four columns of numbers have to fit
        axes.text(
            j, i, text, ha="center", va="center", fontsize=SMALL_PT - 1.2, color=colour,
            fontweight="bold" if is_sure[i, j] else "normal",
        )  # fmt: skip
    axes.set_xticks(
        range(len(columns)), [break_words(name, LONGEST_LEVEL) for name in columns], fontsize=SMALL_PT - 0.5
    )
    axes.set_yticks(range(len(rows)), [break_words(name, LONGEST_LEVEL) for name in rows], fontsize=SMALL_PT - 0.5)
    axes.set_xlabel(table["factor_b"].iloc[0], fontsize=SMALL_PT)
    axes.set_ylabel(table["factor_a"].iloc[0], fontsize=SMALL_PT)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
