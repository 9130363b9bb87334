"""Run log -> tables, figures, verdicts, report. The only input is `runs/<study>`; nothing here imports torch or ray."""

import foresight  # noqa: F401  first of all: Ctrl-C during the imports below then ends quietly

# isort: split
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd

from analysis.amendments import build_amendments
from analysis.assessment import study_status
from analysis.breakdown import build_breakdown
from analysis.calibration import build_calibration, read_calibration
from analysis.cautions import Caution, build_cautions
from analysis.components import build_components
from analysis.coverage import build_coverage
from analysis.efficiency import build_efficiency
from analysis.factorial import build_factorial_effects, build_factorial_terms
from analysis.gate import build_gate
from analysis.heldout import build_heldout
from analysis.image_pairs import read_image_pairs
from analysis.importance import build_importance
from analysis.load import StudyData, read_study
from analysis.looks import build_looks
from analysis.objectives import DEFAULT_OBJECTIVES, check_objectives
from analysis.pareto import build_fronts, build_pareto
from analysis.per_image import build_image_extremes, build_per_image
from analysis.recommend import build_recommendation
from analysis.replicates import build_replicates
from analysis.scaling_law import ScalingFit, build_scaling, build_scaling_curve, fit_scaling
from analysis.shares import build_shares
from analysis.simplify import build_simplification
from analysis.table import build_table
from analysis.verdicts import build_verdicts
from analysis.waivers import Waiver, waivers_of


class Study:
    """One study's run log and what it supports. Every frame is computed once and returned as a copy."""

    def __init__(
        self,
        data: StudyData,
        objectives: Sequence[str] = DEFAULT_OBJECTIVES,
        budget: Mapping[str, float] | None = None,
        waivers: Iterable[Waiver] = (),
    ):
        check_objectives(data, objectives)
        self.data = data
        self.objectives = tuple(objectives)
        self.waivers = waivers_of(data.name, data.claim, waivers)
        self.budget = dict(budget or {})

    def table(self) -> pd.DataFrame:
        """The ablation table: one row per arm (and trivial predictor) and test metric."""
        return self._table.copy()

    def pareto(self) -> pd.DataFrame:
        """One row per arm: quality, costs, whether it is on the front of the study's objectives, and how surely."""
        return self._pareto.copy()

    def verdicts(self) -> pd.DataFrame:
        """One row per criterion of the claim and per arm, with its sentence."""
        return self._verdicts.copy()

    def shares(self) -> pd.DataFrame:
        """One row per arm and stream share; empty where none was recorded."""
        return self._shares.copy()

    def param_efficiency(self) -> pd.DataFrame:
        """Every arm against the claim's reference, every pair of sizes on a capacity axis, with warnings."""
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

    def components(self) -> pd.DataFrame:
        """One row per arm and component of the pipeline; empty where no component was timed."""
        return build_components(self.data)

    def looks(self) -> pd.DataFrame:
        """One row per arm and look at which it was tested; empty for a claim with one look."""
        return self._looks.copy()

    @cached_property
    def _looks(self) -> pd.DataFrame:
        return build_looks(self.data)

    def amendments(self) -> pd.DataFrame:
        """What was changed of the claim or of what varies after the study began; empty where nothing was."""
        return build_amendments(self.data.sweep)

    def gate(self) -> pd.DataFrame:
        """One row per criterion, met or waived or not, and one for each other reason why the gate is closed."""
        return self._gate.copy()

    def waived(self) -> pd.DataFrame:
        """The rows of the gate that a person waived; empty where none was."""
        return self._gate[self._gate["state"] == "waived"].reset_index(drop=True)

    @cached_property
    def _gate(self) -> pd.DataFrame:
        return build_gate(self.data, self._verdicts, self.waivers, study_status(self.data))

    @cached_property
    def _table(self) -> pd.DataFrame:
        return build_table(self.data)

    @cached_property
    def _pareto(self) -> pd.DataFrame:
        return build_pareto(self.data, self._table, self.objectives)

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

    def fronts(self) -> pd.DataFrame:
        """One row per set of objectives: front, hypervolume with its reference point, knee, what was left out."""
        return self._fronts.copy()

    def importance(self) -> pd.DataFrame:
        """One row per method and factor: how much it matters; the range of its effects where one is varied at a time."""
        return self._importance.copy()

    def factorial_terms(self) -> pd.DataFrame:
        """One row per main effect and pairwise interaction of a factorial; empty for another design."""
        return self._factorial_terms.copy()

    def factorial_effects(self) -> pd.DataFrame:
        """One row per level, and per pair of levels, of every term of a factorial that can be estimated."""
        return self._factorial_effects.copy()

    def replicates(self) -> pd.DataFrame:
        """Noise: configurations run twice at one seed, what arm and seed leave, and each arm over seeds."""
        return self._replicates.copy()

    def image_pairs(self) -> pd.DataFrame:
        """One row per arm, seed and test image, beside the baseline's; read from every trial's samples."""
        return self._image_pairs.copy()

    def per_image(self) -> pd.DataFrame:
        """One row per arm and scene type: the share of images it wins and loses against the baseline."""
        return self._per_image.copy()

    def image_extremes(self) -> pd.DataFrame:
        """The images on which each arm gains and loses most."""
        return self._image_extremes.copy()

    @cached_property
    def _importance(self) -> pd.DataFrame:
        return build_importance(self.data)

    @cached_property
    def _factorial_terms(self) -> pd.DataFrame:
        return build_factorial_terms(self.data)

    @cached_property
    def _factorial_effects(self) -> pd.DataFrame:
        return build_factorial_effects(self.data)

    @cached_property
    def _replicates(self) -> pd.DataFrame:
        return build_replicates(self.data)

    @cached_property
    def _image_pairs(self) -> pd.DataFrame:
        return read_image_pairs(self.data)

    @cached_property
    def _per_image(self) -> pd.DataFrame:
        return build_per_image(self.data, self._image_pairs)

    @cached_property
    def _image_extremes(self) -> pd.DataFrame:
        return build_image_extremes(self.data, self._image_pairs)

    def scaling(self) -> pd.DataFrame:
        """One row per capacity axis and law of quality against measured size; empty without three sizes."""
        return self._scaling.copy()

    def scaling_fits(self) -> list[ScalingFit]:
        """Every law along every capacity axis, with its draws: what the two frames of scaling are made from."""
        return list(self._scaling_fits)

    def scaling_curve(self) -> pd.DataFrame:
        """The chosen law of every capacity axis, point by point, with its band."""
        return self._scaling_curve.copy()

    def simplification(self) -> pd.DataFrame:
        """One row per arm: whether it is shown to be non-inferior to the best one, and what it saves."""
        return self._simplification.copy()

    def recommendation(self) -> pd.DataFrame:
        """The best arm within the stated budget; empty without one."""
        return self._recommendation.copy()

    @cached_property
    def _fronts(self) -> pd.DataFrame:
        return build_fronts(self.data, self.objectives)

    @cached_property
    def _scaling_fits(self) -> list[ScalingFit]:
        return fit_scaling(self.data)

    @cached_property
    def _scaling(self) -> pd.DataFrame:
        return build_scaling(self.data, self._scaling_fits)

    @cached_property
    def _scaling_curve(self) -> pd.DataFrame:
        return build_scaling_curve(self.data, self._scaling_fits)

    @cached_property
    def _simplification(self) -> pd.DataFrame:
        return build_simplification(self.data)

    @cached_property
    def _recommendation(self) -> pd.DataFrame:
        return build_recommendation(self.data, self._table, self.budget)

    def calibration(self) -> pd.DataFrame:
        """How often verdicts are wrong in simulated studies, by method and number of seeds: the same for every study."""
        return build_calibration(read_calibration())


def load(
    path: str | Path,
    objectives: Sequence[str] = DEFAULT_OBJECTIVES,
    budget: Mapping[str, float] | None = None,
    waivers: Iterable[Waiver] = (),
) -> Study:
    """Reads `runs/<study>`.

    `objectives` are what its front is over, `budget` the most that a recommended arm may take of each cost, `waivers` what
    `analysis.waivers` read. Raises RequestError, one sentence, for a run log that no table may be made from, an unknown
    objective, or a waiver of no criterion.
    """
    return Study(read_study(Path(path)), objectives, budget, waivers)
