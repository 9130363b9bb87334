"""Run log -> tables, figures, verdicts, report. The only input is `runs/<study>`; nothing here imports torch or ray."""

import foresight  # noqa: F401  first of all: Ctrl-C during the imports below then ends quietly

# isort: split
from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis.breakdown import build_breakdown
from analysis.cautions import Caution, build_cautions
from analysis.coverage import build_coverage
from analysis.efficiency import build_efficiency
from analysis.heldout import build_heldout
from analysis.load import StudyData, read_study
from analysis.pareto import build_pareto
from analysis.shares import build_shares
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

    def shares(self) -> pd.DataFrame:
        """One row per arm and stream share; empty where none was recorded."""
        return self._shares.copy()

    def param_efficiency(self) -> pd.DataFrame:
        """One row per arm: how near it comes to the claim's reference arm, with warnings; empty without a reference."""
        return self._param_efficiency.copy()

    def breakdown(self) -> pd.DataFrame:
        """One row per arm, scene type and metric; empty where there is one type, and for a factorial."""
        return self._breakdown.copy()

    def heldout(self) -> pd.DataFrame:
        """One row per further set, arm or trivial predictor, and metric; empty where none was measured."""
        return self._heldout.copy()

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
    def _shares(self) -> pd.DataFrame:
        return build_shares(self.data)

    @cached_property
    def _param_efficiency(self) -> pd.DataFrame:
        return build_efficiency(self.data, self._table)

    @cached_property
    def _breakdown(self) -> pd.DataFrame:
        return build_breakdown(self.data)

    @cached_property
    def _heldout(self) -> pd.DataFrame:
        return build_heldout(self.data)

    @cached_property
    def _coverage(self) -> pd.DataFrame:
        return build_coverage(self.data)

    @cached_property
    def _cautions(self) -> list[Caution]:
        return build_cautions(self.data, self._table)


def load(path: str | Path) -> Study:
    """Reads `runs/<study>`. Raises RequestError, one sentence, for a run log that no table may be made from."""
    return Study(read_study(Path(path)))
