"""The images whose pictures the trials kept, arm under arm, each with what it gains or loses against the baseline.

In: `examples.png` of the trials at one seed, whose columns are the first test images in the order of the samples, and
the image pairs of that seed. Drawn: targets, the baseline's reconstructions, and those of the arms that win and lose most,
in a frame of green or vermillion with the difference under it.
"""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figure_style import GREEN, HEADING_IN, INK, SMALL_PT, VERMILLION, break_words, heading, new_figure
from analysis.kept_pictures import FIRST, RECONSTRUCTION, TARGET, read_strip, trials_with
from analysis.load import StudyData
from analysis.per_image import ALL
from analysis.wording import decimals_of, metric_phrase, short_arms, signed
from foresight.space import BASELINE

MOST_ARMS = 4
ROW_IN = 0.44


def kept_strips(data: StudyData, per_image: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """Arm to its rows of kept pictures by name, the baseline first, then the MOST_ARMS that win or lose most.

    Empty where no trial kept a target and a reconstruction, and for clips, of which a strip shows frames.
    """
    frames = data.complete.get("config/data.n_frames", pd.Series([1]))
    whole = per_image[per_image["scene"] == ALL]
    if whole.empty or (frames > 1).any():
        return {}
    net = (whole["wins"] - whole["losses"]).abs().to_numpy()
    most = set(whole["arm"].iloc[np.argsort(-net, kind="stable")[:MOST_ARMS]])
    keys = trials_with(data, FIRST)
    strips = {arm: read_strip(data, key) for arm, key in keys.items() if arm == BASELINE or arm in most}
    strips = {arm: rows for arm, rows in strips.items() if {TARGET, RECONSTRUCTION} <= set(rows)}
    return strips if BASELINE in strips and len(strips) > 1 else {}


def plot_image_pictures(data: StudyData, pairs: pd.DataFrame, strips: dict[str, dict[str, np.ndarray]]) -> Figure:
    """A row of targets, one of the baseline, and one for each other arm with its differences."""
    seed = int(data.complete.loc[data.complete["key"] == trials_with(data, FIRST)[BASELINE], "seed"].iloc[0])
    names = short_arms([arm for arm in strips if arm != BASELINE])
    first = strips[BASELINE][TARGET]
    rows = {TARGET: first} | {arm: rows[RECONSTRUCTION] for arm, rows in strips.items()}
    n_images = first.shape[1] // first.shape[0]
    figure = new_figure(HEADING_IN + ROW_IN * len(rows))
    panels = figure.subplots(len(rows), n_images, squeeze=False)
    for line, (name, strip) in zip(panels, rows.items(), strict=True):
        label = break_words(names.get(name, name), 12)
        line[0].text(-0.1, 0.5, label, transform=line[0].transAxes, ha="right", va="center", fontsize=SMALL_PT)
        mine = pairs[(pairs["arm"] == name) & (pairs["seed"] == seed)]
        gains = {int(row["place"]): row for _, row in mine.iterrows()}
        for place, axes in enumerate(line):
            side = strip.shape[0]
            axes.imshow(strip[:, place * side : (place + 1) * side], interpolation="nearest")
            _mark(axes, gains.get(place), decimals_of(data.claim.primary))
    metric = metric_phrase(data.claim.primary)
    basis = f"first {n_images} of {data.tested_on()}, seed {seed}; difference in {metric}"
    heading(figure, "Images won (green) and lost (vermillion)", basis)
    return figure


def _mark(axes: Axes, pair: pd.Series | None, decimals: int) -> None:
    """A frame in the colour of the outcome and the difference; nothing on targets and on the baseline."""
    axes.set_xticks([])
    axes.set_yticks([])
    gain = math.nan if pair is None else float(pair["gain"])
    colour = GREEN if gain > 0 else VERMILLION if gain < 0 else INK
    for spine in axes.spines.values():
        spine.set_visible(pair is not None)
        spine.set_color(colour)
        spine.set_linewidth(1.2)
    if pair is not None:
        axes.set_xlabel(signed(float(pair["difference"]), decimals), fontsize=SMALL_PT - 1, color=colour, labelpad=1.5)
