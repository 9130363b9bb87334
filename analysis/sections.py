"""The tables of the report that are one frame each: sentences, then a table that sorts, and a CSV of the whole frame.

In: a Study. Out: for each Section its frame. A new frame of the analysis gets its place on the page, in its table of
contents and in results/<study>/ by one entry of SECTIONS; `analysis.cells` decides how its numbers read.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from analysis import Study
from analysis.amendments import describe_amendments
from analysis.calibration import describe_calibration
from analysis.components import describe_components
from analysis.efficiency import describe_efficiency
from analysis.factorial import describe_factorial_effects, describe_factorial_terms
from analysis.gate import waived_in
from analysis.importance import describe_importance
from analysis.pareto import describe_fronts, describe_pareto
from analysis.per_image import describe_image_extremes, describe_per_image
from analysis.recommend import describe_recommendation
from analysis.replicates import describe_replicates
from analysis.scaling_law import describe_scaling
from analysis.simplify import describe_simplification


def no_sentences(frame: pd.DataFrame) -> list[str]:
    """For a frame that speaks for itself."""
    return []


@dataclass(frozen=True)
class Section:
    """One frame as the page shows it. `anchor` is its place in the page's address and the name of its CSV.

    `columns` maps columns of the frame to headings, in the order in which they stand; the CSV has all columns. An empty
    frame has neither a section nor a CSV. `figures` are the stems of drawings that stand above the table.
    """

    anchor: str
    title: str
    build: Callable[[Study], pd.DataFrame]
    columns: dict[str, str]
    describe: Callable[[pd.DataFrame], list[str]] = no_sentences
    figures: tuple[str, ...] = ()


SECTIONS = (
    Section(
        "pareto_front",
        "Pareto front",
        Study.pareto,
        {
            "arm": "Arm",
            "state": "State",
            "p_front": "P(on the front)",
            "dominated_by": "Likeliest dominator",
            "p_dominated": "P(dominated by it)",
            "on_front": "Front of the means",
            "is_knee": "Knee",
            "n_seeds": "Seeds",
            "quality": "Quality",
            "params_trained": "Trained parameters ↓",
            "flops": "FLOPs ↓",
            "latency_ms": "Latency ↓",
            "peak_memory_mb": "Peak memory (MB) ↓",
            "gpu_s": "GPU time ↓",
        },
        describe_pareto,
        figures=("tradeoff",),
    ),
    Section(
        "fronts",
        "Hypervolume and knee",
        Study.fronts,
        {
            "phrases": "Objectives",
            "n_on_front": "Arms on the front",
            "n_arms": "Arms",
            "n_seeds": "Seeds",
            "hypervolume": "Hypervolume ↑",
            "knee": "Knee",
            "p_knee": "Share of draws",
            "reference": "Reference point",
        },
        describe_fronts,
    ),
    Section(
        "simplification",
        "Can it be simplified?",
        Study.simplification,
        {
            "arm": "Arm",
            "state": "Against the best",
            "n_seeds": "Seeds",
            "quality": "Quality",
            "difference": "Difference from the best",
            "rival": "Hardest rival",
            "p_holm": "p non-inferior",
            "saved_params_trained": "Parameters saved",
            "saved_latency_ms": "Latency saved",
            "saved_train_s": "Training time saved",
            "cheapest_in": "Cheapest in",
        },
        describe_simplification,
    ),
    Section(
        "recommendation",
        "Recommended for the budget",
        Study.recommendation,
        {
            "budget": "Budget",
            "arm": "Arm",
            "n_seeds": "Seeds",
            "quality": "Quality",
            "params_trained": "Trained parameters",
            "latency_ms": "Latency",
            "not_told_apart": "Not told apart from",
            "key": "Trial",
        },
        describe_recommendation,
    ),
    Section(
        "scaling",
        "Scaling with size",
        Study.scaling,
        {
            "factor": "Factor",
            "where": "Where",
            "law": "Law",
            "is_chosen": "Chosen",
            "formula": "Fit",
            "gain": "Smallest to largest",
            "delta_aicc": "AICc above the best",
            "exponent": "Exponent",
            "n_sizes": "Sizes",
            "n_seeds": "Seeds",
        },
        describe_scaling,
        figures=("scaling",),
    ),
    Section(
        "param_efficiency",
        "Parameter efficiency",
        Study.param_efficiency,
        {
            "arm": "Arm",
            "metric": "Metric",
            "reference": "Reference",
            "params_trained": "Trained parameters",
            "reference_params": "Of the reference",
            "n_seeds": "Seeds",
            "efficiency": "Efficiency ↑",
            "warnings": "Warnings",
        },
        describe_efficiency,
    ),
    Section(
        "importance",
        "Importance of the factors",
        Study.importance,
        {
            "method": "Method",
            "factor": "Factor",
            "n_levels": "Levels",
            "n_arms": "Arms",
            "n_seeds": "Seeds",
            "importance": "Share or range",
            "p_shuffled": "p (levels shuffled)",
            "highest": "Highest level",
            "lowest": "Lowest level",
            "unmeasured": "Not measured",
        },
        describe_importance,
    ),
    Section(
        "factorial_terms",
        "Main effects and interactions",
        Study.factorial_terms,
        {
            "term": "Term",
            "n_seeds": "Seeds",
            "df": "Coefficients",
            "variance_share": "Share of variance",
            "f": "F",
            "p_holm": "p (Holm)",
            "status": "Status",
            "aliased_with": "Not told from",
        },
        describe_factorial_terms,
    ),
    Section(
        "factorial_effects",
        "Levels and pairs of levels",
        Study.factorial_effects,
        {
            "term": "Term",
            "level_a": "Level",
            "level_b": "with",
            "reference": "against",
            "n_seeds": "Seeds",
            "effect": "Effect",
        },
        describe_factorial_effects,
    ),
    Section(
        "replicates",
        "Noise, measured",
        Study.replicates,
        {
            "kind": "Noise",
            "name": "Of",
            "n_trials": "Trials",
            "n_seeds": "Seeds",
            "sd": "Standard deviation",
            "largest": "Largest difference",
            "residual_sd": "After blocks",
        },
        describe_replicates,
    ),
    Section(
        "per_image",
        "Images won and lost",
        Study.per_image,
        {
            "arm": "Arm",
            "scene": "Scene type",
            "n_images": "Images",
            "n_seeds": "Seeds",
            "wins": "Won",
            "losses": "Lost",
            "difference": "Mean difference",
        },
        describe_per_image,
    ),
    Section(
        "image_extremes",
        "Images changed most",
        Study.image_extremes,
        {
            "arm": "Arm",
            "side": "Side",
            "sample_hash": "Image",
            "scene": "Scene type",
            "n_seeds": "Seeds",
            "wins": "Seeds won",
            "losses": "Seeds lost",
            "difference": "Mean difference",
        },
        describe_image_extremes,
    ),
    Section(
        "components",
        "Time and memory of the components",
        Study.components,
        {
            "arm": "Arm",
            "component": "Component",
            "n_seeds": "Seeds",
            "latency_ms": "Latency in ms ↓",
            "share_frac": "Share of the pass",
            "weights_mb": "Weights in MB",
            "peak_mb": "Peak memory in MB",
        },
        describe_components,
    ),
    Section(
        "waivers",
        "Waived criteria",
        Study.waived,
        {
            "metric": "Metric",
            "on": "Further set",
            "verdict": "Verdict",
            "waived_by": "Waived by",
            "date": "Date",
            "reason": "Reason",
        },
        waived_in,
    ),
    Section(
        "amendments",
        "Amendments",
        Study.amendments,
        {
            "kind": "Of",
            "made": "Made",
            "n_complete": "Complete trials by then",
            "changes": "Change",
            "reason": "Reason",
            "before": "Claim before",
            "after": "Claim after",
        },
        describe_amendments,
    ),
    Section(
        "calibration",
        "Can the verdicts be trusted?",
        Study.calibration,
        {
            "method": "Method",
            "n_seeds": "Seeds",
            "false_rate": "Studies with a false verdict, at worst",
            "worst_noise": "There the noise",
            "worst_n_arms": "and the arms",
            "power": "Power",
            "power_effect": "for a difference in sd",
            "power_n_arms": "among arms",
            "n_studies": "Studies simulated",
        },
        describe_calibration,
        figures=("calibration",),
    ),
)
