"""Which test images the trials of a study were scored on, and that it was the same ones.

Numbers that were published come without a hash of the images behind them. They are compared with nothing
(`StudyData.comparable`), so they may lack it; trials of our own may not.
"""

import pandas as pd

from foresight.errors import RequestError
from foresight.same_images import TEST_SET_COLUMNS, check_same_images

TEST = "test"  # the split of samples that `test/*` columns are of; a further set's is its name
TIMED = "timed repeats"  # test rows that are no images


def check_test_set(complete: pd.DataFrame) -> int | None:
    """The number of test rows that all trials share; None where imported ones do not say, or say different numbers.

    Raises RequestError for a trial of our own that does not say, and for trials on different test images.
    """
    own = complete[complete["provenance"] != "imported"]
    for column in TEST_SET_COLUMNS:
        if own[column].isna().any():
            without = own[own[column].isna()]
            raise RequestError(
                f"trial {without['key'].iloc[0]} does not record {column}, so its test images are unknown"
            )
    said = complete["data/n_test"].dropna().astype(float)
    odd = said[(said < 1) | (said % 1 != 0)]
    if len(odd):
        key = complete.loc[odd.index[0], "key"]
        raise RequestError(
            f"trial {key} says it was tested on {odd.iloc[0]:g} rows; a test set has a whole number of 1 or more"
        )
    check_same_images(complete)
    return count_test_rows(complete)


def count_test_rows(trials: pd.DataFrame) -> int | None:
    """The number of test rows that all of the trials say."""
    if trials["data/n_test"].isna().any():
        return None
    said = set(trials["data/n_test"])
    return int(said.pop()) if len(said) == 1 else None


def count_defined(samples: pd.DataFrame, complete: pd.DataFrame) -> dict[tuple[str, str, str], int]:
    """(split, arm, metric) to the rows of the split on which the metric has a value, where not all of them have one.

    The fewest, where trials of an arm differ; under the arm "" the fewest of any. Only samples that are as many as the
    trial says its split has can tell: of a part of them, the others are not known.
    """
    rows = samples[(samples["n_values"] < samples["n"]) & (samples["n_values"] > 0)]
    if rows.empty:
        return {}
    trials = complete.set_index("key")
    size = pd.Series(float("nan"), index=rows.index)
    for split, mine in rows.groupby("split"):
        column = "data/n_test" if split == TEST else f"heldout/{split}/n"
        if column in trials:
            size[mine.index] = mine["key"].map(trials[column]).astype(float)
    found = rows.assign(arm=rows["key"].map(trials["arm"]))[rows["n"] == size]
    fewest: dict[tuple[str, str, str], int] = {}
    for rows in (found, found.assign(arm="")):
        counted = rows.groupby(["split", "arm", "metric"], as_index=False)["n_values"].min()
        named = zip(*(counted[name].tolist() for name in ("split", "arm", "metric")), strict=True)
        fewest |= dict(zip(named, counted["n_values"].tolist(), strict=True))
    return fewest
