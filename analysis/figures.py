"""All figures of one study, in the order of the report."""

import math
import re

from analysis import Study
from analysis.calibration import describe_calibration, read_calibration
from analysis.figure_calibration import plot_calibration
from analysis.figure_effects import plot_effects
from analysis.figure_factor import level_values, plot_factor
from analysis.figure_image_pictures import kept_strips, plot_image_pictures
from analysis.figure_interactions import plot_interactions, strongest_interactions
from analysis.figure_learning import curve_metric, plot_learning
from analysis.figure_per_image import plot_per_image, shown_arms
from analysis.figure_pictures import (
    FAILURES,
    SIDE_BY_SIDE,
    plot_failures,
    plot_side_by_side,
    worst_samples,
)
from analysis.figure_scaling import plot_scaling
from analysis.figure_style import Drawing, draw
from analysis.figure_tradeoff import plot_tradeoff, plotted_costs
from analysis.kept_pictures import trials_with
from analysis.load import StudyData
from analysis.pareto import describe_pareto
from analysis.scaling_law import describe_scaling
from analysis.wording import capitalised, decimals_of, metric_phrase, number
from foresight.declared import FactorInfo


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
    # A level that no seed measured in all of its arms has no point; a figure without any says nothing.
    for factor in [found for found in data.factors if len(level_values(data, found, data.claim.primary))]:
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
            "front in 95 % or more of the draws of all arms' means. Grey triangles: surely dominated. Orange "
            "rings: ambiguous. The baseline's mark has the outline of the text. Upright: 95 % intervals; level: quartiles of the "
            "latency. The line is the front of the means of this "
            "pair; arms without a name stand in the Pareto table. An arm far behind all others stands at the edge, with its mean "
            "and an arrow."
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
    drawings += [*_interaction_drawings(study), *_image_drawings(study), *_picture_drawings(data)]
    rates = read_calibration()
    n_arms, n_seeds = (", ".join(map(str, sorted(rates[name].unique()))) for name in ("n_arms", "n_seeds"))
    caption = (
        "Simulated studies. Above: those with any false verdict, a dot for each number of arms "
        f"({n_arms}) and of seeds ({n_seeds}); left: better or worse where no arm differs; right: non-inferior where every arm "
        "is worse by the margin; grey: where 95 % of the dots of an exact test would lie. Below: how often a true difference of "
        "one arm is found. "
        f"By {study.calibration()['command'].iloc[0]}."
    )
    alt = " ".join(describe_calibration(study.calibration()))
    return [*drawings, draw("calibration", caption, alt, plot_calibration, rates)]


def _interaction_drawings(study: Study) -> list[Drawing]:
    """The strongest interactions of a factorial, where any can be estimated."""
    terms = study.factorial_terms()
    shown = strongest_interactions(terms) if len(terms) else terms
    if shown.empty:
        return []
    caption = (
        f"What each pair of levels adds to the sum of its two main effects on {metric_phrase(study.data.claim.primary)}, of "
        "the strongest interactions, with their share of the variance between arms and their Holm-adjusted p. Bold: the "
        "95 % interval over seeds, not adjusted for the number of pairs, leaves out zero. Green is better, whichever way "
        "the metric points."
    )
    alt = f"Tables of colours for {', '.join(shown['term'])}."
    arguments = (study.data, terms, study.factorial_effects())
    return [draw("interactions", caption, alt, plot_interactions, *arguments)]


def _image_drawings(study: Study) -> list[Drawing]:
    """Image by image against the baseline: all of them sorted, and those whose pictures were kept."""
    data, pairs, per_image = study.data, study.image_pairs(), study.per_image()
    if per_image.empty:
        return []
    caption = (
        "Every test image's gain over the baseline at the same seed, sorted: the mean over seeds filled, each seed a faint "
        "line; the shares won and lost are means of the single seeds'. It says on which images these trained models win, "
        "not whether an architecture is better. What the scale leaves out is written."
    )
    listed = "; ".join(
        f"{row['arm']} wins {100 * row['wins']:.0f} %, loses {100 * row['losses']:.0f} %"
        for _, row in per_image[per_image["arm"].isin(shown_arms(per_image)) & (per_image["scene"] == "all")].iterrows()
    )
    drawings = [draw("per_image", caption, f"Sorted gains. {listed}.", plot_per_image, data, pairs, per_image)]
    strips = kept_strips(data, per_image)
    if strips:
        caption = (
            "The test images whose pictures every trial keeps, of the arms that win or lose most. Green: better than the "
            "baseline on this image at this seed, vermillion: worse; the difference stands under it."
        )
        alt = f"Targets above the reconstructions of {', '.join(strips)}."
        drawings.append(draw("image_pictures", caption, alt, plot_image_pictures, data, pairs, strips))
    return drawings


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
