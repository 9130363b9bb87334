"""Run log -> tables, figures, verdicts, report. The only input is `runs/<study>`; nothing here imports torch or ray."""

import foresight  # noqa: F401  first of all: Ctrl-C during the imports below then ends quietly

# isort: split
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

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
from analysis.proposals import build_proposals
from analysis.recommend import build_recommendation
from analysis.replicates import build_replicates
from analysis.scaling_law import ScalingFit, build_scaling, build_scaling_curve, fit_scaling
from analysis.search_importance import build_search_importance
from analysis.shares import build_shares
from analysis.simplify import build_simplification
from analysis.table import build_table
from analysis.verdicts import build_verdicts
from analysis.waivers import Waiver, waivers_of

Frame = TypeVar("Frame", pd.DataFrame, list[Caution], list[ScalingFit])


def computed_once(build: "Callable[[Study], Frame]") -> "Callable[[Study], Frame]":
    """A method of Study whose result is kept; the caller gets a copy, so that nobody changes what others read."""

    @wraps(build)
    def method(study: "Study") -> Frame:
        if build.__name__ not in study.kept:
            study.kept[build.__name__] = build(study)
        return study.kept[build.__name__].copy()

    return method


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
        self.kept: dict[str, Any] = {}

    @computed_once
    def table(self) -> pd.DataFrame:
        """The ablation table: one row per arm (and trivial predictor) and test metric."""
        return build_table(self.data, self.looks())

    @computed_once
    def proposals(self) -> pd.DataFrame:
        """One row per configuration that a search proposed, the best by validation first; empty for a declared design."""
        return build_proposals(self.data)

    @computed_once
    def search_importance(self) -> pd.DataFrame:
        """One row per method and field that a search varied; empty for a declared design."""
        return build_search_importance(self.data, self.proposals())

    @computed_once
    def pareto(self) -> pd.DataFrame:
        """One row per arm: quality, costs, whether it is on the front of the study's objectives, and how surely."""
        return build_pareto(self.data, self.table(), self.objectives)

    @computed_once
    def verdicts(self) -> pd.DataFrame:
        """One row per criterion of the claim and per arm, with its sentence."""
        return build_verdicts(self.data, self.table(), self.looks())

    @computed_once
    def shares(self) -> pd.DataFrame:
        """One row per arm and stream share; empty where none was recorded."""
        return build_shares(self.data)

    @computed_once
    def param_efficiency(self) -> pd.DataFrame:
        """Every arm against the claim's reference, every pair of sizes on a capacity axis, with warnings."""
        return build_efficiency(self.data, self.table())

    @computed_once
    def breakdown(self) -> pd.DataFrame:
        """One row per arm, scene type and metric; empty where there is one type, and for a factorial."""
        return build_breakdown(self.data)

    @computed_once
    def heldout(self) -> pd.DataFrame:
        """One row per further set, arm or trivial predictor, and metric; empty where none was measured."""
        return build_heldout(self.data)

    @computed_once
    def coverage(self) -> pd.DataFrame:
        """Planned, completed, failed, stopped and missing trials: of the study, per factor level, per arm."""
        return build_coverage(self.data)

    @computed_once
    def cautions(self) -> list[Caution]:
        """What a reader must know before believing the tables."""
        return build_cautions(self.data, self.table())

    @computed_once
    def components(self) -> pd.DataFrame:
        """One row per arm and component of the pipeline; empty where no component was timed."""
        return build_components(self.data)

    @computed_once
    def looks(self) -> pd.DataFrame:
        """One row per arm and look at which it was tested; empty for a claim with one look."""
        return build_looks(self.data)

    @computed_once
    def amendments(self) -> pd.DataFrame:
        """What was changed of the claim or of what varies after the study began; empty where nothing was."""
        return build_amendments(self.data.sweep)

    @computed_once
    def gate(self) -> pd.DataFrame:
        """One row per criterion, met or waived or not, and one for each other reason why the gate is closed."""
        return build_gate(self.data, self.verdicts(), self.waivers, study_status(self.data))

    @computed_once
    def waived(self) -> pd.DataFrame:
        """The rows of the gate that a person waived; empty where none was."""
        return self.gate()[self.gate()["state"] == "waived"].reset_index(drop=True)

    @computed_once
    def fronts(self) -> pd.DataFrame:
        """One row per set of objectives: front, hypervolume with its reference point, knee, what was left out."""
        return build_fronts(self.data, self.objectives)

    @computed_once
    def importance(self) -> pd.DataFrame:
        """One row per method and factor: how much it matters; the range of its effects where one is varied at a time."""
        return build_importance(self.data, self.verdicts())

    @computed_once
    def factorial_terms(self) -> pd.DataFrame:
        """One row per main effect and pairwise interaction of a factorial; empty for another design."""
        return build_factorial_terms(self.data)

    @computed_once
    def factorial_effects(self) -> pd.DataFrame:
        """One row per level, and per pair of levels, of every term of a factorial that can be estimated."""
        return build_factorial_effects(self.data)

    @computed_once
    def replicates(self) -> pd.DataFrame:
        """Noise: configurations run twice at one seed, what arm and seed leave, and each arm over seeds."""
        return build_replicates(self.data)

    @computed_once
    def image_pairs(self) -> pd.DataFrame:
        """One row per arm, seed and test image, beside the baseline's; read from every trial's samples."""
        return read_image_pairs(self.data)

    @computed_once
    def per_image(self) -> pd.DataFrame:
        """One row per arm and scene type: the share of images it wins and loses against the baseline."""
        return build_per_image(self.data, self.image_pairs())

    @computed_once
    def image_extremes(self) -> pd.DataFrame:
        """The images on which each arm gains and loses most."""
        return build_image_extremes(self.data, self.image_pairs())

    @computed_once
    def scaling(self) -> pd.DataFrame:
        """One row per capacity axis and law of quality against measured size; empty without three sizes."""
        return build_scaling(self.data, self.scaling_fits())

    @computed_once
    def scaling_fits(self) -> list[ScalingFit]:
        """Every law along every capacity axis, with its draws: what the two frames of scaling are made from."""
        return fit_scaling(self.data)

    @computed_once
    def scaling_curve(self) -> pd.DataFrame:
        """The chosen law of every capacity axis, point by point, with its band."""
        return build_scaling_curve(self.data, self.scaling_fits())

    @computed_once
    def simplification(self) -> pd.DataFrame:
        """One row per arm: whether it is shown to be non-inferior to the best one, and what it saves."""
        return build_simplification(self.data)

    @computed_once
    def recommendation(self) -> pd.DataFrame:
        """The best arm within the stated budget; empty without one."""
        return build_recommendation(self.data, self.table(), self.budget)

    @computed_once
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
