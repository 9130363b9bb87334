"""The sections that put arms beside each other: fronts, simplification, size, efficiency, components. Part of SECTIONS."""

from analysis import Study
from analysis.components import describe_components
from analysis.efficiency import describe_efficiency
from analysis.pareto import describe_fronts, describe_pareto
from analysis.recommend import describe_recommendation
from analysis.scaling_law import describe_scaling
from analysis.section import Section
from analysis.simplify import describe_simplification

ARM_SECTIONS = (
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
)
