"""Which test images the trials of a study were scored on, and that it was the same ones.

Numbers that were published come without a hash of the images behind them. They are compared with nothing
(`StudyData.comparable`), so they may lack it; trials of our own may not.
"""

import pandas as pd

from foresight.errors import RequestError
from foresight.same_images import TEST_SET_COLUMNS, check_same_images

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
