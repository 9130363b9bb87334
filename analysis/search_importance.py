"""Which fields of a search went with good proposals: shares of importance over the complete ones, by validation.

In: a study whose design is a search, and its proposals. Out: a frame with SEARCH_IMPORTANCE_COLUMNS, empty for a declared
design. fANOVA (Hutter et al. 2014) and PED-ANOVA (Watanabe et al. 2023) are optuna's. A sampler draws where it expects good
values, so these describe what it has seen, and are no estimates of effects; they add up to 1 over noise as well.
"""

import logging
from typing import Any

import pandas as pd

from analysis.importance import BEST, LEAST_ARMS, N_TREES
from analysis.load import StudyData
from analysis.wording import number
from foresight.seeding import keyed_seed

SEARCH_IMPORTANCE_COLUMNS = ("method", "field", "n_proposals", "importance", "enough", "objective")
NAMES = {"fanova": "fANOVA, variance explained", "ped_anova": "PED-ANOVA, being among the best"}


def build_search_importance(data: StudyData, proposals: pd.DataFrame) -> pd.DataFrame:
    """SEARCH_IMPORTANCE_COLUMNS by the first objective, most important first; `importance` is missing below LEAST_ARMS."""
    complete = proposals[proposals["state"] == "complete"]
    if data.search is None or complete.empty:
        return pd.DataFrame(columns=list(SEARCH_IMPORTANCE_COLUMNS))
    configs = data.complete.drop_duplicates("arm").set_index("arm").loc[complete["arm"]]
    values = configs[[f"config/{field}" for field in data.searched_fields]].set_axis(list(data.searched_fields), axis=1)
    varied = [field for field in data.searched_fields if values[field].nunique(dropna=False) > 1]
    enough = len(complete) >= LEAST_ARMS
    higher = data.search["objectives"][0]["direction"] == "higher"
    rows = []
    for method in NAMES:
        found = compute_importances(values[varied], complete["value"].tolist(), higher, method) if enough else {}
        for field in sorted(varied, key=lambda field: -found.get(field, 0.0)):
            rows.append(
                {
                    "method": NAMES[method],
                    "field": field,
                    "n_proposals": len(complete),
                    "importance": found.get(field, float("nan")),
                    "enough": enough,
                    "objective": complete["objectives"].iloc[0],
                }
            )
    return pd.DataFrame(rows, columns=list(SEARCH_IMPORTANCE_COLUMNS))


def compute_importances(
    configs: pd.DataFrame, values: list[float], higher_is_better: bool, method: str
) -> dict[str, float]:
    """Field to its share of importance, from a row of fields and a value for each proposal. Deterministic.

    A field that a proposal's conditions left out stands at its default there, which is what the trial ran with.
    """
    import optuna  # 0.2 s, and its forest 2 s more: only for those who ask

    logging.getLogger("optuna").setLevel(logging.WARNING)  # it announces every study it keeps in memory
    columns: dict[str, list[Any]] = {}
    distributions: dict[str, optuna.distributions.BaseDistribution] = {}
    for field in map(str, configs):
        column = configs[field]
        if pd.api.types.is_numeric_dtype(column) and column.notna().all():
            columns[field] = column.astype(float).tolist()
            distributions[field] = optuna.distributions.FloatDistribution(min(columns[field]), max(columns[field]))
        else:
            codes = pd.factorize(column, use_na_sentinel=False)[0].tolist()
            columns[field] = codes
            distributions[field] = optuna.distributions.CategoricalDistribution(tuple(range(max(codes) + 1)))
    study = optuna.create_study(direction="maximize" if higher_is_better else "minimize")
    for i, value in enumerate(values):
        params = {field: column[i] for field, column in columns.items()}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=value))
    evaluator: optuna.importance.BaseImportanceEvaluator
    if method == "fanova":
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=N_TREES, seed=keyed_seed(0, "fanova") % 2**32)
    else:
        quantile = min(1.0, max(0.1, BEST / len(values)))
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {field: float(found[field]) for field in columns}


def describe_search_importance(frame: pd.DataFrame) -> list[str]:
    """What the shares say, and what they cannot."""
    if frame.empty:
        return []
    n_proposals = frame["n_proposals"].iloc[0]
    if not frame["enough"].iloc[0]:
        return [f"Importances need {LEAST_ARMS} complete proposals at least, and there are {n_proposals}."]
    sentences = []
    for method, mine in frame.groupby("method", sort=False):
        listed = ", ".join(f"{row['field']} {number(row['importance'])}" for _, row in mine.head(5).iterrows())
        sentences.append(f"{method}: {listed}.")
    sentences.append(
        f"Shares of 1 over {n_proposals} proposals by {frame['objective'].iloc[0]}. The sampler draws where it expects good "
        "values, so they describe what it saw, noise included, and are no estimates of effects."
    )
    return sentences
