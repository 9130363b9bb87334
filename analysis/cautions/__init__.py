"""What a reader must know before believing a table: what the numbers cannot mean, and what the run log lacks or mixes.

In: a study and its ablation table. Out: a list of cautions, each a kind and a sentence made from stored values. What
makes a comparison impossible is not here: `analysis.refusals` and `analysis.unseen` refuse it.
"""

from dataclasses import replace

import pandas as pd

from analysis.cautions.caution import Caution, keys_of
from analysis.cautions.definitions import definition_cautions
from analysis.cautions.further_sets import further_set_cautions
from analysis.cautions.inert import inert_cautions
from analysis.cautions.log import log_cautions
from analysis.cautions.resolution import resolution_cautions
from analysis.cautions.results import result_cautions
from analysis.cautions.samples import sample_cautions
from analysis.cautions.times import time_cautions
from analysis.cautions.training import training_cautions
from analysis.load import StudyData

__all__ = ["Caution", "build_cautions"]


def _of_all_trials(data: StudyData, cautions: list[Caution]) -> list[Caution]:
    """With the keys of every registered trial, where they name no others: their numbers are over all of them."""
    everywhere = keys_of(data, data.arms)
    return [caution if caution.keys else replace(caution, keys=everywhere) for caution in cautions]


def build_cautions(data: StudyData, table: pd.DataFrame) -> list[Caution]:
    """All cautions, the gravest first: where the numbers come from, what they can mean, how they were trained, the log."""
    return [
        *sample_cautions(data),
        *definition_cautions(data),
        *result_cautions(data, table),
        *further_set_cautions(data),
        *_of_all_trials(data, resolution_cautions(data)),
        *inert_cautions(data),
        *training_cautions(data),
        *time_cautions(data),
        *log_cautions(data),
    ]
