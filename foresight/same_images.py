"""That trials which are set beside each other were scored on the same test images, as the sweep and analysis both ask."""

import pandas as pd

from foresight.errors import RequestError

TEST_SET_COLUMNS = ("data/test_hash", "data/n_test")


def check_same_images(trials: pd.DataFrame) -> None:
    """Raises RequestError where the trials name different test images, or different numbers of them.

    `trials` have `key` and TEST_SET_COLUMNS. Those without a hash are compared with nothing, and may differ.
    """
    compared = trials[trials["data/test_hash"].notna()]
    for column in TEST_SET_COLUMNS:
        counts = compared[column].value_counts()
        if len(counts) > 1:
            odd = compared.loc[compared[column] == counts.index[-1], "key"].iloc[0]
            listed = ", ".join(f"{value} in {n} trials" for value, n in counts.items())
            raise RequestError(
                f"arms can only be compared on the same test images, but {column} is {listed} (for example {odd})"
            )
