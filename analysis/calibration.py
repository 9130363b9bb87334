"""How far verdicts can be trusted: rates of false ones, and of real differences seen, in simulated studies.

In: calibration.csv beside this file, which `python -m benchmarks.calibration` writes and nobody types. Out: the largest
rates of false verdicts at each number of seeds, over all patterns of noise and numbers of arms, with their 95 % intervals:
of `better` or `worse` where nothing differs, and of `non-inferior` where every arm is worse by the margin.
"""

from pathlib import Path

import pandas as pd

from analysis.wording import count, percent

CALIBRATION_PATH = Path(__file__).with_name("calibration.csv")
CALIBRATION_COLUMNS = (
    "kind", "method", "noise", "n_seeds", "n_arms", "effect", "rate", "standard_error", "alpha", "repetitions", "seed",
    "command",
)  # fmt: skip
FALSE, FALSE_BY_FACTOR = "any false verdict", "any false verdict, adjusted within factors"
FALSE_NONINFERIOR = "any false non-inferior"
POWER = "power"
CHOSEN, PAIRED_T, POOLED = "this analysis", "paired t", "pooled block"
METHOD_NAMES = (CHOSEN, PAIRED_T, POOLED)
SUMMARY_COLUMNS = (
    "method", "n_seeds", "false_rate", "low", "high", "worst_noise", "n_arms_worst", "noninferior_rate",
    "noninferior_rate_low", "noninferior_rate_high", "noninferior_noise", "n_arms_noninferior", "power", "power_effect",
    "n_arms_power", "alpha", "n_studies", "command",
)  # fmt: skip
SHOWN_EFFECT = 4.0  # in standard deviations of a seed's noise


def read_calibration() -> pd.DataFrame:
    """The stored rates, CALIBRATION_COLUMNS."""
    return pd.read_csv(CALIBRATION_PATH)


def build_calibration(rates: pd.DataFrame) -> pd.DataFrame:
    """One row per method and number of seeds, SUMMARY_COLUMNS: the worst rates of false verdicts with their 95 %
    intervals, and power at SHOWN_EFFECT.

    Power is that with equal noise, and missing where it was not simulated.
    """
    rows = []
    power = rates[(rates["kind"] == POWER) & (rates["effect"] == SHOWN_EFFECT) & (rates["noise"] == "equal")]
    false, noninferior = (rates[rates["kind"] == kind] for kind in (FALSE, FALSE_NONINFERIOR))
    order = [(method, n_seeds) for method in METHOD_NAMES for n_seeds in sorted(false["n_seeds"].unique())]
    for method, n_seeds in order:
        worst, low, high = _worst(false, method, n_seeds)
        row = {
            "method": method, "n_seeds": n_seeds, "false_rate": worst["rate"], "low": low, "high": high,
            "worst_noise": worst["noise"], "n_arms_worst": worst["n_arms"],
            "alpha": worst["alpha"], "n_studies": worst["repetitions"], "command": worst["command"],
        }  # fmt: skip
        worst, low, high = _worst(noninferior, method, n_seeds)
        row |= {"noninferior_rate": worst["rate"], "noninferior_rate_low": low, "noninferior_rate_high": high}
        row |= {"noninferior_noise": worst["noise"], "n_arms_noninferior": worst["n_arms"]}
        seen = power[(power["method"] == method) & (power["n_seeds"] == n_seeds)]
        if len(seen):
            first = seen.iloc[0]
            row |= {"power": first["rate"], "power_effect": SHOWN_EFFECT, "n_arms_power": first["n_arms"]}
        rows.append(row)
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def _worst(rates: pd.DataFrame, method: str, n_seeds: int) -> tuple[pd.Series, float, float]:
    """The row of the largest rate of a method at a number of seeds, and that rate's 95 % interval."""
    worst = rates[(rates["method"] == method) & (rates["n_seeds"] == n_seeds)].sort_values("rate").iloc[-1]
    error = 1.96 * float(worst["standard_error"])
    return worst, float(worst["rate"]) - error, float(worst["rate"]) + error


def describe_calibration(summary: pd.DataFrame) -> list[str]:
    """What the rates say about the analysis' own method, and what other choices would have done."""
    sentences = []
    for _, rows in summary.groupby("method", sort=False):
        worst = rows.sort_values("false_rate").to_dict("records")[-1]
        error, method = worst["high"] - worst["false_rate"], worst["method"]
        sentences.append(
            f"{method[:1].upper()}{method[1:]}: of {worst['n_studies']:,} simulated studies where no arm differs, "
            f"{percent(worst['false_rate'])} had a false verdict (± {percent(error)}; alpha {percent(worst['alpha'])}) "
            f"in the worst of the patterns simulated, noise '{worst['worst_noise']}' with {count(worst['n_seeds'], 'seed')} and "
            f"{worst['n_arms_worst']} arms. {_describe_noninferior(rows)}"
        )
    return sentences


def _describe_noninferior(rows: pd.DataFrame) -> str:
    worst = rows.sort_values("noninferior_rate").to_dict("records")[-1]
    error = worst["noninferior_rate_high"] - worst["noninferior_rate"]
    return (
        f"Where every arm is worse by the margin, {percent(worst['noninferior_rate'])} had one that was called non-inferior "
        f"(± {percent(error)}) in the worst, noise '{worst['noninferior_noise']}' with {count(worst['n_seeds'], 'seed')} and "
        f"{worst['n_arms_noninferior']} arms."
    )
