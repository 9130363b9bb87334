"""Pictures that trials left, laid out for a reader: arms beside each other, and what the judged arm did worst.

In: `reconstructions.png` (targets above reconstructions) and `failures.png` (a column for each of the worst samples) of
the trials at one seed, and the numbers of those samples.
"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figure_style import HEADING_IN, SMALL_PT, break_words, heading, new_figure
from analysis.kept_pictures import read_picture
from analysis.load import StudyData
from analysis.wording import decimals_of, metric_phrase, number, short_arms
from foresight.space import BASELINE

SIDE_BY_SIDE, FAILURES = "reconstructions", "failures"  # names of the pictures, shown here and not one by one
MOST_ARMS = 8  # rows of reconstructions that a page can compare
ROW_IN = 0.4
FAILURE_ROWS = 4  # target, reconstruction, true mask, predicted mask
WORST_RANK = "worst_rank"  # column of the samples: 1 the worst, 0 for those without a picture


def plot_side_by_side(data: StudyData, keys: dict[str, str]) -> Figure:
    """A row of originals, and under it a row of reconstructions for each arm."""
    strips = {arm: read_picture(data, key, SIDE_BY_SIDE) for arm, key in list(keys.items())[:MOST_ARMS]}
    first = next(iter(strips.values()))
    middle = first.shape[0] // 2
    rows = {"original": first[:middle]} | {arm: strip[middle:] for arm, strip in strips.items()}
    names = short_arms(list(strips))
    figure = new_figure(HEADING_IN + ROW_IN * len(rows))
    panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, (name, strip) in zip(panels, rows.items(), strict=True):
        axes.imshow(strip, interpolation="nearest", aspect="equal")
        axes.set_axis_off()
        label = break_words(names.get(name, name), 12)
        axes.text(-0.01, 0.5, label, transform=axes.transAxes, ha="right", va="center", fontsize=SMALL_PT)
    heading(figure, "Original and reconstructions", f"the same {data.items} in every row, {_seed(data, keys)}")
    return figure


def worst_samples(data: StudyData, key: str) -> pd.DataFrame:
    """The samples of a trial that have a picture among its failures, the worst first."""
    samples = data.log.read_samples(key)
    shown = samples[samples[WORST_RANK].fillna(0) > 0]
    return shown.sort_values(WORST_RANK).reset_index(drop=True)


def plot_failures(data: StudyData, keys: dict[str, str], arm: str) -> Figure:
    """What the arm did worst by the primary metric, each column with its value and its type of scene."""
    strip, worst = read_picture(data, keys[arm], FAILURES), worst_samples(data, keys[arm])
    metric = data.claim.primary
    figure = new_figure(HEADING_IN + 0.5 + 0.42 * FAILURE_ROWS)
    axes = figure.add_subplot()
    axes.imshow(strip, interpolation="nearest", aspect="equal")
    axes.set_yticks([])
    side = strip.shape[1] / len(worst)
    labels = [
        f"{number(value, decimals_of(metric))}\n{break_words(str(scene), 7)}"
        for value, scene in zip(worst[metric], worst["scene"], strict=True)
    ]
    axes.set_xticks([side * (column + 0.5) for column in range(len(worst))], labels, fontsize=SMALL_PT)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    basis = f"the {len(worst)} of {data.tested_on()} with the worst {metric_phrase(metric)}, {_seed(data, keys)}"
    heading(figure, f"Failures of {'the baseline' if arm == BASELINE else arm}", basis)
    return figure


def _seed(data: StudyData, keys: dict[str, str]) -> str:
    shown = data.complete.loc[data.complete["key"] == next(iter(keys.values())), "seed"]
    return f"seed {int(shown.iloc[0])}"
