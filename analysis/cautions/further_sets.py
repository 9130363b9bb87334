"""Cautions about further sets: arms that a predictor which ignores its input equals or beats there.

In: the `heldout/<set>/*` columns of a study's complete trials. The test images are looked at in `analysis.cautions.results`.
"""

from collections.abc import Iterator

from analysis.cautions.caution import Caution, keys_of, listed
from analysis.heldout import PREFIX, heldout_sets, trivial_scores
from analysis.load import StudyData
from analysis.wording import decimals_of, metric_phrase, number
from foresight.metrics import METRICS, METRICS_OF_CLIPS


def further_set_cautions(data: StudyData) -> list[Caution]:
    return [caution for name in heldout_sets(data) for caution in _trivial(data, name)]


def _trivial(data: StudyData, name: str) -> Iterator[Caution]:
    for metric in _judged_on(data, name):
        values = data.registered[f"{PREFIX}{name}/{metric}"].astype(float).groupby(data.registered["arm"]).mean()
        sign, decimals = 1 if METRICS[metric].direction == "higher" else -1, decimals_of(metric)
        for predictor, score in trivial_scores(data, name, metric).items():
            low = values[sign * values <= sign * score]
            named = [f"{arm} ({number(low[arm], decimals)})" for arm in data.arms if arm in low.index]
            told = f"{metric_phrase(metric)} {number(score, decimals)}"
            text = f"On the further set {name}, no better than the trivial predictor {predictor} ({told}): {listed(named)}."
            if named:
                yield Caution("trivial", text, keys_of(data, low.index))


def _judged_on(data: StudyData, name: str) -> list[str]:
    """The claim's metrics that were measured on a set; where none was, as of photographs without masks, every metric.

    Unless the claim names it, a variance over time is none of these: no clip of a model is as still as a single picture.
    """
    measured = [metric for metric in METRICS if f"{PREFIX}{name}/{metric}" in data.registered]
    claimed = {data.claim.primary, *(criterion.metric for criterion in data.claim.criteria)}
    return [m for m in measured if m in claimed] or [m for m in measured if m not in METRICS_OF_CLIPS]
