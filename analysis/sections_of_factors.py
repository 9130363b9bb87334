"""The sections about factors, noise and single images. Part of SECTIONS."""

from analysis import Study
from analysis.factorial import describe_factorial_effects, describe_factorial_terms
from analysis.importance import describe_importance
from analysis.per_image import describe_image_extremes, describe_per_image
from analysis.replicates import describe_replicates
from analysis.section import Section

FACTOR_SECTIONS = (
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
            "state": "A level that differs",
            "p_holm": "Least p (Holm)",
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
        figures=("interactions",),
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
        figures=("per_image",),
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
            "has_picture": "Picture",
            "n_seeds": "Seeds",
            "wins": "Seeds won",
            "losses": "Seeds lost",
            "difference": "Mean difference",
        },
        describe_image_extremes,
        figures=("image_pictures",),
    ),
)
