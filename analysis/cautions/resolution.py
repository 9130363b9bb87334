"""Cautions about metrics that can hardly tell anything apart: next to constant, narrow, or no different between arms.

In: a study. What is exactly constant, or exactly at a bound, is in `analysis.cautions.results`. Four questions, each with
its own yardstick, since a metric has no smallest difference that matters of its own:

- Do all values agree to three digits? (`near_constant`; the yardstick is the value)
- Are all arms within the claim's margin of each other? (`within_margin`; the claim says what counts as no loss)
- Do arms differ more than their trials do? (`no_difference`; an F-test, where there are trials enough to know the noise)
- Does nothing that was scored, single images and trivial predictors included, leave a narrow band? (`narrow`; the
  metric's range). Trained arms alone may well be close together; with a predictor that ignores its input among them the
  scale itself is too coarse, as a sigmoid of a hundredth of a logit is, from 0.55 to 0.59 whatever is shown.
"""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import fdtrc

from analysis.blocks import fit_blocks
from analysis.cautions.caution import Caution, listed
from analysis.load import StudyData
from analysis.table import predictor_score, seed_values
from analysis.wording import count, decimals_of, metric_phrase, number, p_value, percent
from foresight.metrics import METRICS, RELATIVE_METRICS

HARDLY = 1e-3  # of the value: all that is printed of most metrics are three decimals
NARROW_OF_RANGE, NARROW_OF_VALUE = 0.05, 0.1  # both: an error of 0.01 to 0.05 in [0, 1] is a fivefold one
LEAST_ARMS = 3  # for a statement about all of them
LEAST_DF = 10  # degrees of freedom of the noise that arms are held against


def resolution_cautions(data: StudyData) -> list[Caution]:
    constant = {metric: text for metric in data.metrics if (text := _near_constant(data, metric))}
    others = [metric for metric in data.metrics if metric not in constant]
    return [
        *(Caution("near_constant", text) for text in constant.values()),
        *(_within_margin(data) if data.claim.primary in others else []),
        *_no_difference(data, others),
        *(caution for metric in others for caution in _narrow(data, metric)),
    ]


def _near_constant(data: StudyData, metric: str) -> str:
    """What is said of a metric whose values agree to HARDLY over all trials of at least two arms; else nothing."""
    rows = data.complete[data.complete[f"test/{metric}"].notna()]
    values = rows[f"test/{metric}"].to_numpy(float)
    if rows["arm"].nunique() < 2 or not 0 < np.ptp(values) <= HARDLY * np.abs(values).max():
        return ""
    text = f"{METRICS[metric].label} hardly varies: from {values.min():.9g} to {values.max():.9g} in all {len(values)} trials"
    return f"{text}, less than {percent(HARDLY)} of its value, so it distinguishes next to nothing."


def _within_margin(data: StudyData) -> Iterator[Caution]:
    metric = data.claim.primary
    means = seed_values(data, metric).groupby("arm")["value"].mean()
    if len(means) >= LEAST_ARMS and 0 < (apart := float(np.ptp(means.to_numpy()))) < data.claim.margin:
        text = f"The means of all {len(means)} arms in {metric_phrase(metric)} lie within {apart:.2g} of each other, "
        text += f"less than the margin of {data.claim.margin:g} that the claim counts as no loss"
        yield Caution("within_margin", f"{text}, so either no choice matters or this metric cannot see it.")


def _no_difference(data: StudyData, metrics: list[str]) -> Iterator[Caution]:
    """The metrics by which an F-test finds no arm different, at the claim's alpha, in one sentence."""
    found = []
    for metric in [name for name in metrics if not METRICS[name].is_time and name not in RELATIVE_METRICS]:
        p = p_of_arms(seed_values(data, metric))
        found += [f"{metric_phrase(metric)} (p {p_value(p)})"] if p >= data.claim.alpha else []
    if found:
        text = f"An F-test over all arms, seeds taken out, shows no difference by {listed(found)}"
        yield Caution("no_difference", f"{text}: what the arms differ by may be noise alone.")


def p_of_arms(values: pd.DataFrame) -> float:
    """p of no difference between any two arms, by the F-test of arms beside blocks; nan with too few arms or trials.

    `values` has arm, seed and value. With fewer than LEAST_DF degrees of freedom for the noise, most small studies would
    be told that they show no difference, which says no more than that they are small.
    """
    n_arms, n_seeds = values["arm"].nunique(), values["seed"].nunique()
    if n_arms < LEAST_ARMS or n_seeds < 2:
        return math.nan
    fit = fit_blocks(values)
    noise = float((fit.residuals**2).sum())
    without_arms = values["value"] - values.groupby("seed")["value"].transform("mean")
    df_arms = len(values) - n_seeds - fit.df
    if fit.df < LEAST_DF or df_arms < 1 or noise == 0:
        return math.nan
    between = max(float((without_arms**2).sum()) - noise, 0.0)
    return float(fdtrc(df_arms, fit.df, (between / df_arms) / (noise / fit.df)))


def _narrow(data: StudyData, metric: str) -> Iterator[Caution]:
    declared = METRICS[metric]
    scored = [predictor_score(data, predictor, metric) for predictor in data.predictors]
    scored = [score for score in scored if not math.isnan(score)]
    images = data.samples[(data.samples["metric"] == metric) & (data.samples["split"] == "test")]
    if not math.isfinite(declared.high - declared.low) or not (scored or images["n_values"].sum()):
        return  # nothing but arms, which may well be alike
    values = data.complete[f"test/{metric}"].dropna().to_numpy(float)
    all_values = np.concatenate([values, scored, images[["minimum", "maximum"]].to_numpy(float).ravel()])
    low, high = float(np.nanmin(all_values)), float(np.nanmax(all_values))
    apart, largest = high - low, max(abs(low), abs(high))
    if 0 < apart <= NARROW_OF_RANGE * (declared.high - declared.low) and apart <= NARROW_OF_VALUE * largest:
        decimals = decimals_of(metric)
        among = [count(len(values), "trial")]
        among += [f"single {data.items}"] if images["n_values"].sum() else []
        among += [count(len(scored), "predictor") + " beside them"] if scored else []
        text = f"{declared.label} is between {number(low, decimals)} and {number(high, decimals)} in everything that was scored "
        text += f"({', '.join(among)}), {percent(apart / (declared.high - declared.low))} of its range"
        yield Caution("narrow", f"{text}, so it may be too coarse to tell what is good from what is not.")
