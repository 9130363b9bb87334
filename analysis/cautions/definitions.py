"""Cautions about numbers that do not say what they are: by which definition, or with which trunk, they were measured.

Two definitions under one name, or two trunks, are refused (`analysis.refusals`); a trial that names neither could be either.
"""

from collections.abc import Iterator

import pandas as pd

from analysis.cautions.caution import Caution, listed
from analysis.load import StudyData
from analysis.refusals import LPIPS_NAMES
from analysis.wording import count, metric_phrase
from foresight.metrics import RELATIVE_METRICS


def definition_cautions(data: StudyData) -> list[Caution]:
    """Of imported trials nothing is expected: what a table of published numbers lacks is said once for all of it."""
    own = data.complete[data.complete["provenance"] != "imported"]
    return [*_without_definition(data, own), *_without_trunk(data, own)]


def _without_definition(data: StudyData, own: pd.DataFrame) -> Iterator[Caution]:
    """Trials with a value of a metric that their env/metric_ids do not name, the metrics of the same trials in one sentence."""
    stated = _column(own, "env/metric_ids")
    named = {text: {identity.split("/")[0] for identity in text.split()} for text in stated.unique()}
    metrics_of: dict[tuple[str, ...], list[str]] = {}
    for metric in [name for name in data.metrics if name not in RELATIVE_METRICS]:
        is_named = stated.isin([text for text, names in named.items() if metric in names])
        without = own.loc[~is_named & own[f"test/{metric}"].notna(), "key"]
        metrics_of.setdefault(tuple(without), []).append(metric)
    for keys, metrics in metrics_of.items():
        if keys:
            text = f"{count(len(keys), 'complete trial')} of {len(own)} without the definition of what they measured "
            text += f"(env/metric_ids): nothing shows that {listed(map(metric_phrase, metrics))} of theirs "
            text += f"{'is' if len(metrics) == 1 else 'are'} that of others"
            yield Caution("no_definition", f"{text}: {listed(keys)}.", keys)


def _without_trunk(data: StudyData, own: pd.DataFrame) -> Iterator[Caution]:
    for metric in [name for name in LPIPS_NAMES if name in data.metrics]:
        measured = own[own[f"test/{metric}"].notna()]
        without = measured.loc[_column(measured, "env/lpips_trunk") == "", "key"]
        if len(without):
            text = f"{count(len(without), 'complete trial')} of {len(measured)} with {metric_phrase(metric)} and without its "
            text += "trunk (env/lpips_trunk), and values of two trunks cannot be compared"
            yield Caution("no_trunk", f"{text}: {listed(without)}.", tuple(without))


def _column(rows: pd.DataFrame, name: str) -> pd.Series:
    """A column of texts, empty where a row lacks it."""
    return rows.get(name, pd.Series(None, index=rows.index, dtype=object)).fillna("").astype(str)
