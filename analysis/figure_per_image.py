"""Image by image: every test image's gain over the baseline, sorted, one small panel per arm.

In: the image pairs and the shares won. Drawn: mean gain of each image over seeds, green where the arm is better, vermillion
where it is worse, and for each seed a faint line of its own sorted gains.
"""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figure_style import GREEN, HEADING_IN, INK, MUTED, SMALL_PT, VERMILLION, break_words, heading, new_figure
from analysis.load import StudyData
from analysis.per_image import ALL
from analysis.wording import decimals_of, metric_axis, metric_phrase, n_range, short_arms, signed

PANELS_PER_ROW = 3
MOST_PANELS = 15
PANEL_CHARACTERS = 18
SHOWN = 0.99  # share of an arm's images that an axis is wide enough for: one image shall not press all others flat
ROOM = 1.5  # times the median arm's width: one arm shall not press all others flat, and what it hides is written
WRITTEN = 1.1  # times the limit: gains beyond it are written


def shown_arms(per_image: pd.DataFrame) -> list[str]:
    """The arms that are drawn, in the order of the study; of many, those that win or lose most."""
    whole = per_image[per_image["scene"] == ALL]
    net = (whole["wins"] - whole["losses"]).abs().to_numpy()
    chosen = sorted(np.argsort(-net, kind="stable")[:MOST_PANELS])
    return [str(arm) for arm in whole["arm"].iloc[chosen]]


def plot_per_image(data: StudyData, pairs: pd.DataFrame, per_image: pd.DataFrame) -> Figure:
    """One panel per arm of `shown_arms`, all on one scale."""
    arms = shown_arms(per_image)
    names, whole = short_arms(arms), per_image[per_image["scene"] == ALL].set_index("arm")
    n_rows, n_columns = math.ceil(len(arms) / PANELS_PER_ROW), min(PANELS_PER_ROW, len(arms))
    figure = new_figure(HEADING_IN + 0.35 + 1.0 * n_rows)
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
    means = {arm: np.sort(_image_means(pairs[pairs["arm"] == arm])) for arm in arms}
    widths = sorted(float(np.quantile(np.abs(gains), SHOWN)) for gains in means.values())
    limit = min(widths[-1], ROOM * float(np.median(widths))) or 1.0
    for axes, arm in zip(panels.flat, arms, strict=False):
        row = whole.loc[arm]
        _plot_arm(axes, pairs[pairs["arm"] == arm], means[arm])
        name = break_words(names[arm], PANEL_CHARACTERS)
        title = [name, f"{100 * row['wins']:.0f} % won, {100 * row['losses']:.0f} % lost"]
        title += _hidden_gains(means[arm], limit, decimals_of(data.claim.primary))
        axes.set_title("\n".join(title), fontsize=SMALL_PT - 0.9)
    for axes in list(panels.flat)[len(arms) :]:
        axes.set_axis_off()
    panels.flat[0].set_ylim(-limit, limit)
    panels.flat[0].set_xlim(0, 100)
    panels.flat[0].locator_params(nbins=3)
    figure.supxlabel("Test images, sorted (%)", fontsize=SMALL_PT)
    figure.supylabel(f"Gain in {metric_axis(data.claim.primary)}, up is better", fontsize=SMALL_PT)
    heading(
        figure,
        f"Images won and lost: {metric_phrase(data.claim.primary)}",
        f"{n_range([int(n) for n in whole.loc[arms, 'n_seeds']], 'paired seed')}, {data.tested}; mean over seeds",
    )
    return figure


def _image_means(mine: pd.DataFrame) -> np.ndarray:
    return mine.groupby(["sample_hash", "scene"])["gain"].mean().to_numpy()


def _plot_arm(axes: Axes, mine: pd.DataFrame, means: np.ndarray) -> None:
    for _, block in mine.groupby("seed"):
        gains = np.sort(block["gain"].to_numpy())
        axes.plot(_percent(len(gains)), gains, color=MUTED, linewidth=0.4, alpha=0.5, zorder=1)
    percent = _percent(len(means))
    axes.fill_between(percent, means, 0, where=means > 0, color=GREEN, linewidth=0, step="mid", zorder=2)
    axes.fill_between(percent, means, 0, where=means < 0, color=VERMILLION, linewidth=0, step="mid", zorder=2)
    axes.axhline(0, color=INK, linewidth=0.5, zorder=3)
    axes.tick_params(labelsize=SMALL_PT - 0.5, pad=1.5)


def _hidden_gains(means: np.ndarray, limit: float, decimals: int) -> list[str]:
    """How far the mean gains go on where the axis ends before them: a line of the title, as no place in a panel is free."""
    beyond = [
        (arrow, float(gain)) for arrow, gain in (("↓", means[0]), ("↑", means[-1])) if abs(gain) > WRITTEN * limit
    ]
    return [", ".join(f"{arrow} to {signed(gain, decimals)}" for arrow, gain in beyond)] if beyond else []


def _percent(n: int) -> np.ndarray:
    return 100 * (np.arange(n) + 0.5) / n
