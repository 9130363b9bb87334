"""Run log -> tables, figures, verdicts, report. The only input is `runs/<study>`; nothing here imports torch or ray."""

import foresight  # noqa: F401  first of all: Ctrl-C during the imports below then ends quietly

# isort: split
from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis.cautions import Caution, build_cautions
from analysis.coverage import build_coverage
from analysis.load import StudyData, read_study
from analysis.pareto import build_pareto
from analysis.table import build_table
from analysis.verdicts import build_verdicts


class Study:
    """One study's run log and what it supports. Every frame is computed once and returned as a copy."""

    def __init__(self, data: StudyData):
        self.data = data

    def table(self) -> pd.DataFrame:
        """The ablation table: one row per arm (and trivial predictor) and test metric."""
        return self._table.copy()

    def pareto(self) -> pd.DataFrame:
        """One row per arm: quality, trained parameters, latency, and whether it is on the front."""
        return self._pareto.copy()

    def verdicts(self) -> pd.DataFrame:
        """One row per criterion of the claim and per arm, with its sentence."""
        return self._verdicts.copy()

    def coverage(self) -> pd.DataFrame:
        """Planned, completed, failed, stopped and missing trials: of the study, per factor level, per arm."""
        return self._coverage.copy()

    def cautions(self) -> list[Caution]:
        """What a reader must know before believing the tables."""
        return list(self._cautions)

    @cached_property
    def _table(self) -> pd.DataFrame:
        return build_table(self.data)

    @cached_property
    def _pareto(self) -> pd.DataFrame:
        return build_pareto(self._table)

    @cached_property
    def _verdicts(self) -> pd.DataFrame:
        return build_verdicts(self.data, self._table)

    @cached_property
    def _coverage(self) -> pd.DataFrame:
        return build_coverage(self.data)

    @cached_property
    def _cautions(self) -> list[Caution]:
        return build_cautions(self.data, self._table)


def load(path: str | Path) -> Study:
    """Reads `runs/<study>`. Raises RequestError, one sentence, for a run log that no table may be made from."""
    return Study(read_study(Path(path)))
