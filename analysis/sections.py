"""The tables of the report that are one frame each: sentences, then a table that sorts, and a CSV of the whole frame.

In: a Study. Out: for each Section its frame. A new frame of the analysis gets its place on the page, in its table of
contents and in results/<study>/ by one entry here; `analysis.cells` decides how its numbers read.
"""

from analysis import Study
from analysis.amendments import describe_amendments
from analysis.calibration import describe_calibration
from analysis.gate import waived_in
from analysis.section import Section
from analysis.sections_of_arms import ARM_SECTIONS
from analysis.sections_of_factors import FACTOR_SECTIONS

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
            "worst_n_arms": "and the arms",
            "power": "Power",
            "power_effect": "for a difference in sd",
            "power_n_arms": "among arms",
            "n_studies": "Studies simulated",
        },
        describe_calibration,
        figures=("calibration",),
        is_appendix=True,
    ),
)
