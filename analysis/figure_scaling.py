"""The scaling curve: the primary metric against measured trained parameters, with the fitted law and its band.

In: the fits of `analysis.scaling_law` and their curves. Drawn: every seed a faint dot, the dots of one seed joined, each
size's mean with its 95 % interval, and the chosen law with its pointwise 95 % band, from the smallest to the largest size
and nowhere beyond.
"""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from analysis.figure_marks import arm_values, describe_point
from analysis.figure_style import BLUE, CYCLE, FAINT, SMALL_PT, heading, mark, new_figure
from analysis.load import StudyData
from analysis.mean_interval import estimate_mean
from analysis.scaling_law import ScalingFit
from analysis.table import seed_values
from analysis.wording import better_arrow, capitalised, metric_axis, metric_phrase, n_range, quantity
from foresight.space import BASELINE

DODGE = 1.03  # marks of curves at the same sizes stand this factor apart
MOST_CURVES = 6  # in one panel, which is as many colours as there are


def plot_scaling(data: StudyData, fits: list[ScalingFit], curve: pd.DataFrame) -> Figure:
    """One panel per factor, one curve per combination of the other factors' levels (the first MOST_CURVES)."""
    factors = list(dict.fromkeys(fit.axis.factor for fit in fits))
    figure = new_figure(0.4 + 2.5 * len(factors))
    panels = figure.subplots(len(factors), 1, squeeze=False)[:, 0]
    metric = data.claim.primary
    n_seeds = [len(fit.seeds) for fit in fits]
    heading(
        figure,
        f"{capitalised(metric_phrase(metric))} against measured size",
        f"{n_range(n_seeds, 'seed')}, {data.tested}; fitted law and 95 % band",
    )
    values = seed_values(data, metric)
    for axes, factor in zip(panels, factors, strict=True):
        mine = [fit for fit in fits if fit.axis.factor == factor][:MOST_CURVES]
        for i, fit in enumerate(mine):
            of_axis = (curve["factor"] == factor) & (curve["where"] == fit.axis.where)
            colour = BLUE if len(mine) == 1 else CYCLE[i % len(CYCLE)]
            _plot_axis(axes, data, fit, values, curve[of_axis], colour, DODGE ** (i - (len(mine) - 1) / 2))
        if len(mine) == 1:  # the dots of several curves would hide each other
            for _, block in _by_seed(mine[0], values).iterrows():
                axes.plot(mine[0].axis.params, block, "o-", color=FAINT, linewidth=0.6, markersize=2.2, zorder=1)
        axes.set_xscale("log")
        _mark_sizes(axes, mine)
        axes.set_xlabel(f"Trained parameters, counted ({factor})")
        axes.set_ylabel(f"{metric_axis(metric)} {better_arrow(metric)}")
        axes.margins(x=0.08, y=0.12)
        axes.legend(frameon=False, fontsize=SMALL_PT, loc="lower left", bbox_to_anchor=(-0.02, 1.0), borderpad=0)
    return figure


def _by_seed(fit: ScalingFit, values: pd.DataFrame) -> pd.DataFrame:
    """One row per seed of the fit, one column per size."""
    wide = values[values["arm"].isin(fit.axis.arms)].pivot(index="seed", columns="arm", values="value")
    return wide.reindex(index=list(fit.seeds), columns=list(fit.axis.arms))


def _plot_axis(
    axes: Axes, data: StudyData, fit: ScalingFit, values: pd.DataFrame, curve: pd.DataFrame, colour: str, dodge: float
) -> None:
    wide = _by_seed(fit, values)
    axes.fill_between(
        curve["params_trained"], curve["low"], curve["high"], color=colour, alpha=0.16, linewidth=0, zorder=0
    )
    law = next(law for law in fit.fits if law.law == fit.chosen)
    label = f"{fit.axis.where}: {fit.chosen}" if fit.axis.where else f"{fit.chosen}: {law.formula}"
    axes.plot(curve["params_trained"], curve["quality"], color=colour, linewidth=1.2, zorder=2, label=label)
    for arm, size in zip(fit.axis.arms, fit.axis.params, strict=True):
        found, at = estimate_mean(data.claim.primary, wide[arm].tolist()), size * dodge
        if not math.isnan(found.low):
            axes.plot([at, at], [found.low, found.high], color=colour, linewidth=1.0, zorder=3)
        marker = "s" if arm == BASELINE else "o"
        (point,) = axes.plot(at, found.mean, marker, color=colour, markersize=4.2, zorder=4)
        trials, metric = arm_values(data, arm, data.claim.primary), data.claim.primary
        estimate = (found.mean, found.low, found.high)
        mark(point, describe_point(arm, metric, estimate, trials, f"Trained parameters: {quantity(size)}"))


def _mark_sizes(axes: Axes, fits: list[ScalingFit]) -> None:
    """A tick at every measured size, those of the first curve where curves differ."""
    sizes = fits[0].axis.params
    axes.set_xticks(sizes)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: quantity(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)
