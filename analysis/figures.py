"""All figures of one study, in the order of the report."""

import math
import re

from analysis import Study
from analysis.figure_effects import plot_effects
from analysis.figure_factor import level_values, plot_factor
from analysis.figure_learning import curve_metric, plot_learning
from analysis.figure_pictures import (
    FAILURES,
    SIDE_BY_SIDE,
    plot_failures,
    plot_side_by_side,
    trials_with,
    worst_samples,
)
from analysis.figure_scaling import plot_scaling
from analysis.figure_style import Drawing, capitalised, draw
from analysis.figure_tradeoff import plot_tradeoff, plotted_costs
from analysis.load import FactorInfo, StudyData
from analysis.pareto import describe_pareto
from analysis.scaling_law import describe_scaling
from analysis.wording import decimals_of, metric_phrase, number


def draw_figures(study: Study) -> list[Drawing]:
    """Effects, one figure per factor, trade-off, learning curves; one without any number to show is left out."""
    data, verdicts, pareto = study.data, study.verdicts(), study.pareto()
    phrase = metric_phrase(data.claim.primary)
    drawings = []
    arms = verdicts[verdicts["kind"] == "arm"]
    if len(arms) and not data.is_factorial:  # there the main effects of the factors are the overview
        caption = (
            f"Difference of every arm from the baseline in {phrase}, paired by seed, with its 95 % interval, "
            "which is not adjusted for the number of arms as the verdicts are. "
            "Filled marks carry a verdict in their colour and word, open grey ones do not. "
            "The grey band is the margin of non-inferiority."
        )
        alt = f"Forest plot of {len(arms)} arms. {' '.join(arms['sentence'])}"
        drawings.append(draw("effects", caption, alt, plot_effects, data, verdicts))
    for factor in data.factors:
        caption = (
            f"{capitalised(factor.name)} ({factor.field}). Each faint dot is one seed, lines join dots of one seed. "
            "The baseline's level has the colour of the text. Dashed: trivial predictors and ceilings on the same images. "
            "Small panels: the other metrics, levels in the same order; arrows point to better."
        )
        alt = f"{capitalised(phrase)} at each level of {factor.name}: {_level_means(data, factor)}."
        drawings.append(draw(f"factor_{_stem(factor.name)}", caption, alt, plot_factor, data, factor))
    if plotted_costs(pareto):
        caption = (
            f"{capitalised(phrase)} against cost, over {pareto['objectives'].iloc[0].replace(' ', ', ')}. Blue diamonds: on the "
            "front in 95 % or more of the draws of all arms' means. Grey triangles: dominated by one arm in as many. Orange "
            "rings: ambiguous. The baseline's mark has the outline of the text. Upright: 95 % intervals; level: quartiles of the "
            "latency. The line is the front of the means of this "
            "pair; arms without a name stand in the Pareto table."
        )
        alt = f"Scatter of {len(pareto)} arms. {' '.join(describe_pareto(pareto))}"
        drawings.append(draw("tradeoff", caption, alt, plot_tradeoff, data, pareto))
    scaling = study.scaling()
    if len(scaling):
        caption = (
            f"{capitalised(phrase)} against trained parameters as they were counted. Each faint dot is one seed. The line is the "
            "fitted law with its 95 % band, which takes the law for granted. The square is the baseline."
        )
        alt = " ".join(describe_scaling(scaling))
        drawings.append(draw("scaling", caption, alt, plot_scaling, data, study.scaling_fits(), study.scaling_curve()))
    metric = curve_metric(data)
    if metric is not None:
        caption = f"Validation {metric_phrase(metric)} after each epoch: median, and band from lowest to highest trial."
        alt = f"Learning curves of {data.curves['arm'].nunique()} arms over {int(data.curves['epoch'].max())} epochs."
        drawings.append(draw("learning_curves", caption, alt, plot_learning, data, metric))
    return [*drawings, *_picture_drawings(data)]


def _picture_drawings(data: StudyData) -> list[Drawing]:
    """Arms side by side, and the failures of the judged arm, where the trials left such pictures."""
    drawings, phrase = [], metric_phrase(data.claim.primary)
    beside = trials_with(data, SIDE_BY_SIDE)
    if beside:
        caption = "The first test pictures as they are, and as each arm reconstructs them."
        alt = f"Originals above the reconstructions of {', '.join(beside)}."
        drawings.append(draw("side_by_side", caption, alt, plot_side_by_side, data, beside))
    failed, judged = trials_with(data, FAILURES), data.claim.judged_arm(data.arms)
    if judged in failed and data.claim.primary in worst_samples(data, failed[judged]):
        worst = worst_samples(data, failed[judged])
        rows = "Rows: target, reconstruction, true mask, predicted mask"
        caption = f"What was done worst by {phrase}. {rows}. Under each column: {phrase} and type of scene."
        listed = [f"{row['sample_hash']} ({row['scene']}) {row[data.claim.primary]:.3f}" for _, row in worst.iterrows()]
        drawings.append(
            draw("failures", caption, f"{caption} {'; '.join(listed)}.", plot_failures, data, failed, judged)
        )
    return drawings


def _level_means(data: StudyData, factor: FactorInfo) -> str:
    means = level_values(data, factor, data.claim.primary).groupby("level")["value"].mean()
    decimals = decimals_of(data.claim.primary)
    return ", ".join(f"{level} {number(means.get(i, math.nan), decimals)}" for i, level in enumerate(factor.levels))


def _stem(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
