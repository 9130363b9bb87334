"""What the test rows of a study are, and how many of them stand behind a number: the part of StudyData that says so.

A trial was scored on as many rows as it records, and a metric need not have a value on each of them: box IoU has none
where no box is annotated. Samples tell on how many it has one.
"""

from abc import ABC, abstractmethod
from functools import cached_property

import pandas as pd

from analysis.test_set import TEST, TIMED, count_defined, count_test_rows
from foresight.claim import Claim
from foresight.metrics import METRICS


class TestedRows(ABC):
    """Counts and phrases; the fields are those of StudyData."""

    claim: Claim
    complete: pd.DataFrame
    samples: pd.DataFrame
    n_test: int | None

    @property
    @abstractmethod
    def registered(self) -> pd.DataFrame:
        """The trials that every number of an arm is over."""

    @cached_property
    def items(self) -> str:
        """What the test rows are, in the plural: `test images` unless the trials say otherwise."""
        named = self.complete.get("data/items", pd.Series(dtype=object)).dropna()
        return str(named.iloc[0]) if len(named) else "test images"

    @cached_property
    def tested(self) -> str:
        """As `tested_on`, of the primary metric: what figures and tables of it say they are over."""
        return self.tested_on(metric=self.claim.primary) or self.tested_on()

    @cached_property
    def n_tested(self) -> int | None:
        """Test rows on which the primary metric has a value, in every arm; None where trials do not say."""
        return self.n_test_of(metric=self.claim.primary)

    def tested_on(self, arm: str = "", metric: str = "") -> str:
        """How many test rows of what, of the study, an arm, a metric: `200 test images`, `10 of 200 test images`.

        Nothing for a metric that is not one of test rows.
        """
        if metric and not self.is_of_test_rows(metric):
            return ""
        n_test, n_defined = self.n_test_of(arm), self.n_test_of(arm, metric)
        if n_test is None:
            return f"an unknown number of {self.items}"
        return f"{n_test} {self.items}" if n_defined == n_test else f"{n_defined} of {n_test} {self.items}"

    def is_of_test_rows(self, metric: str) -> bool:
        """Whether a metric is measured on the test rows: a time is not, unless these are timed repeats."""
        return self.items == TIMED or not METRICS[metric].is_time

    def n_test_of(self, arm: str = "", metric: str = "") -> int | None:
        """The number of test rows that an arm was or will be scored on; None where its trials do not say.

        With a metric those on which it has a value, as far as samples tell; without an arm the fewest of any.
        """
        n_test = self.n_test
        if n_test is None and arm:
            n_test = count_test_rows(self.complete[self.complete["arm"] == arm])
        return self.defined_on.get((TEST, arm, metric), n_test)

    @cached_property
    def defined_on(self) -> dict[tuple[str, str, str], int]:
        """`count_defined` of the registered trials: (split, arm, metric) to rows with a value, where not all have one."""
        return count_defined(self.samples, self.registered)
