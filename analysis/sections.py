"""The tables of the report that are one frame each: sentences, then a table that sorts, and a CSV of the whole frame.

In: a Study. Out: for each Section its frame. A new frame of the analysis gets its place on the page, in its table of
contents and in results/<study>/ by one entry here; `analysis.cells` decides how its numbers read.
"""

from analysis import Study
from analysis.amendments import describe_amendments
from analysis.calibration import SHOWN_EFFECT, describe_calibration
from analysis.gate import waived_in
from analysis.looks import describe_looks
from analysis.section import Section
from analysis.sections_of_arms import ARM_SECTIONS
from analysis.sections_of_factors import FACTOR_SECTIONS
from analysis.sections_of_searches import SEARCH_SECTIONS

SECTIONS = (
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
        "looks",
        "Looks",
        Study.looks,
        {
            "look": "Look",
            "n_seeds": "Seeds",
            "alpha_at_look": "Level",
            "alpha_spent": "Alpha spent",
            "arm": "Arm",
            "difference": "Difference",
            "p_holm": "Adjusted p, difference",
            "p_noninferior_holm": "Adjusted p, non-inferiority",
            "verdict": "Verdict",
            "goes_on": "Goes on",
            "time": "Taken",
        },
        describe_looks,
    ),
    *SEARCH_SECTIONS,
    *ARM_SECTIONS,
    *FACTOR_SECTIONS,
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
        is_appendix=True,
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
            "n_arms_worst": "and the arms",
            "noninferior_rate": "With a false non-inferior, at worst",
            "noninferior_noise": "There the noise",
            "n_arms_noninferior": "and the arms",
            "power": f"Power for {SHOWN_EFFECT:g} sd, equal noise",
            "n_arms_power": "among arms",
            "n_studies": "Studies simulated",
        },
        describe_calibration,
        figures=("calibration",),
        is_appendix=True,
    ),
)
