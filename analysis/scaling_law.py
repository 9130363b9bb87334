"""Scaling curves: quality against measured trained parameters, a fitted law and its band.

In: a study with a capacity axis of three or more sizes at two or more seeds. Out: a frame with SCALING_COLUMNS, one row
per axis and law, and one with CURVE_COLUMNS, the chosen law along the axis. A law is fitted to the arms' means after the
seeds' common ups and downs are taken out; the corrected Akaike criterion (Hurvich and Tsai 1989) chooses, and of laws
that it cannot tell apart the simplest is taken. Nothing is said beyond the sizes that were measured.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.capacity import CapacityAxis, find_capacity_axes
from analysis.load import StudyData
from analysis.objectives import merge_costs
from analysis.resampling import draw_means
from analysis.table import seed_values
from analysis.wording import count, decimals_of, interval, metric_phrase, number, quantity, signed
from foresight.config.trial import UNTRAINED_TASKS
from foresight.metrics import METRICS

SCALING_COLUMNS = (
    "factor", "where", "metric", "law", "is_chosen", "formula", "gain", "low", "high", "smallest", "largest", "n_sizes", "n_arms",
    "n_seeds", "seeds", "n_test", "aicc", "delta_aicc", "exponent", "exponent_low", "exponent_high", "reason", "keys",
)  # fmt: skip
CURVE_COLUMNS = ("factor", "where", "metric", "law", "params_trained", "quality", "low", "high")
LAWS = {"constant": 1, "log-linear": 2, "power": 3}  # name: free parameters, from the simplest
EXPONENTS = np.geomspace(0.03, 3.0, 100)  # of a power law; at either end it is a line in log N, or a step
LEAST_SIZES, LEAST_SEEDS = 3, 2
INDISTINCT = 2.0  # a difference in AICc up to which two laws fit equally well (Burnham and Anderson 2002)
CURVE_POINTS = 60
CONFIDENCE = 0.95


@dataclass(frozen=True)
class LawFit:
    """One law fitted to one axis. `draws` are its values at CURVE_POINTS sizes, for redrawn means of the arms."""

    law: str
    formula: str
    aicc: float
    exponent: float
    exponent_draws: np.ndarray
    curve: np.ndarray
    draws: np.ndarray
    unidentified: str  # why the law cannot be told from these sizes, or ''


@dataclass(frozen=True)
class ScalingFit:
    """All laws along one axis, and the one that was chosen."""

    axis: CapacityAxis
    seeds: tuple[int, ...]
    grid: np.ndarray  # sizes of the curves
    fits: tuple[LawFit, ...]
    chosen: str
    reason: str


def fit_scaling(data: StudyData) -> list[ScalingFit]:
    """Every capacity axis with enough sizes and seeds; the seeds are those at which all its sizes are complete.

    None of a study that trains nothing, whose quality is what a size costs.
    """
    if data.complete.get("config/task", pd.Series(dtype=str)).isin(UNTRAINED_TASKS).any():
        return []
    values = seed_values(data, data.claim.primary)
    found = []
    for axis in find_capacity_axes(data):
        wide = values[values["arm"].isin(axis.arms)].pivot(index="seed", columns="arm", values="value")
        wide = wide.reindex(columns=list(axis.arms)).dropna()
        if axis.n_sizes >= LEAST_SIZES and len(wide) >= LEAST_SEEDS:
            sizes = np.array(axis.params)
            grid = np.geomspace(sizes[0], sizes[-1], CURVE_POINTS)
            fits = fit_laws(sizes, wide.to_numpy(), grid, f"{axis.factor} {axis.where}")
            chosen, reason = choose_law(fits)
            found.append(ScalingFit(axis, tuple(map(int, wide.index)), grid, fits, chosen, reason))
    return found


def build_scaling(data: StudyData, fits: list[ScalingFit]) -> pd.DataFrame:
    """SCALING_COLUMNS; `gain` is what the law adds from the smallest to the largest size, with its 95 % interval."""
    rows = []
    for fit in fits:
        best = min(law.aicc for law in fit.fits)
        for law in fit.fits:
            low, high = _interval(law.draws[:, -1] - law.draws[:, 0])
            rows.append(
                {
                    "factor": fit.axis.factor, "where": fit.axis.where, "metric": data.claim.primary, "law": law.law,
                    "is_chosen": law.law == fit.chosen, "formula": law.formula, "gain": law.curve[-1] - law.curve[0],
                    "low": low, "high": high, "smallest": fit.axis.params[0], "largest": fit.axis.params[-1],
                    "n_sizes": fit.axis.n_sizes, "n_arms": len(fit.axis.arms),
                    "n_seeds": len(fit.seeds), "seeds": " ".join(map(str, fit.seeds)),
                    "n_test": data.n_tested, "aicc": law.aicc, "delta_aicc": law.aicc - best, "exponent": law.exponent,
                    **dict(zip(("exponent_low", "exponent_high"), _interval(law.exponent_draws), strict=True)),
                    "reason": fit.reason if law.law == fit.chosen else law.unidentified,
                    "keys": data.keys_at(fit.axis.arms, fit.seeds),
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(SCALING_COLUMNS))


def build_scaling_curve(data: StudyData, fits: list[ScalingFit]) -> pd.DataFrame:
    """CURVE_COLUMNS: the chosen law of every axis at CURVE_POINTS sizes, with its pointwise 95 % band."""
    frames = []
    for fit in fits:
        law = next(law for law in fit.fits if law.law == fit.chosen)
        low, high = np.quantile(law.draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
        named = {"factor": fit.axis.factor, "where": fit.axis.where, "metric": data.claim.primary, "law": law.law}
        frames.append(
            pd.DataFrame({"params_trained": fit.grid, "quality": law.curve, "low": low, "high": high}).assign(**named)
        )
    return pd.concat(frames)[list(CURVE_COLUMNS)] if frames else pd.DataFrame(columns=list(CURVE_COLUMNS))


def describe_scaling(scaling: pd.DataFrame) -> list[str]:
    """The chosen law of every axis, why, and what it gains, from the frame alone."""
    sentences = []
    lines = scaling[scaling["law"] == "log-linear"].set_index(["factor", "where"])
    for _, row in scaling[scaling["is_chosen"]].iterrows():
        decimals, phrase = decimals_of(row["metric"]), metric_phrase(row["metric"])
        where = f" ({row['where']})" if row["where"] else ""
        ends = f"{quantity(row['smallest'])} to {quantity(row['largest'])}"
        of_arms = f" of {row['n_arms']} arms" if row["n_arms"] > row["n_sizes"] else ""
        basis = f"{count(row['n_sizes'], 'size')}{of_arms} from {ends} trained parameters"
        told = lines.loc[(row["factor"], row["where"])] if row["law"] == "constant" else row
        shown = f"{number(told['gain'], decimals)} {interval(told['low'], told['high'], decimals)}"
        by = "a line in log N would change it by" if row["law"] == "constant" else "it changes by"
        sentences.append(
            f"Along {row['factor']}{where}, {phrase} = {row['formula']} ({row['law']}; {basis}, "
            f"{count(row['n_seeds'], 'seed')}); from the smallest to the largest {by} {shown}. {row['reason']}"
        )
        lost = -row["gain"] if METRICS[row["metric"]].direction == "higher" else row["gain"]
        if lost > 0 and row["law"] != "constant" and (row["low"] > 0) == (row["high"] > 0):
            sentences.append("It gets worse with size, so the larger ones may be under-trained.")
    return sentences


def fit_laws(sizes: np.ndarray, values: np.ndarray, grid: np.ndarray, key: str) -> tuple[LawFit, ...]:
    """Every law of LAWS, from the simplest; the arguments are those of `fit_law`."""
    return tuple(fit_law(law, sizes, values, grid, key) for law in LAWS)


def fit_law(law: str, sizes: np.ndarray, values: np.ndarray, grid: np.ndarray, key: str) -> LawFit:
    """One law fitted by least squares to sizes [n_sizes] and values [n_seeds, n_sizes], and its curve at `grid`.

    All laws of one `key` see the same draws of the arms' means.
    """
    n_seeds, n_sizes = values.shape
    centre = float(np.exp(np.log(sizes).mean()))
    means, draws = values.mean(axis=0), draw_means(values, "scaling", key)
    curve, exponent = _fit(law, sizes / centre, means[None], grid / centre)
    curves, exponents = _fit(law, sizes / centre, draws, grid / centre)
    fitted, _ = _fit(law, sizes / centre, means[None], sizes / centre)
    within = values - means - values.mean(axis=1, keepdims=True) + values.mean()  # without the seeds' ups and downs
    rss = n_seeds * float(((means - fitted[0]) ** 2).sum()) + float((within**2).sum())
    return LawFit(
        law=law,
        formula=_formula(law, sizes / centre, means, exponent[0], centre),
        aicc=compute_aicc(rss, n_seeds * n_sizes, LAWS[law] + n_seeds - 1),
        exponent=float(exponent[0]),
        exponent_draws=exponents,
        curve=curve[0],
        draws=curves,
        unidentified=_why_unidentified(law, merge_costs(pd.Series(sizes)).nunique(), exponent[0]),
    )


def choose_law(fits: tuple[LawFit, ...]) -> tuple[str, str]:
    """The simplest law within INDISTINCT of the best that can be told from the sizes, and one sentence why."""
    known = [fit for fit in fits if not fit.unidentified]
    best = min(known, key=lambda fit: fit.aicc)
    chosen = next(fit for fit in known if fit.aicc <= best.aicc + INDISTINCT)
    unknown = "".join(f" No {fit.law} law: {fit.unidentified}." for fit in fits if fit.unidentified)
    rivals = ", ".join(f"{fit.law} {signed(fit.aicc - chosen.aicc, 1)}" for fit in known if fit is not chosen)
    why = "It is the simplest that fits no worse" if chosen is not best else "It fits best"
    return chosen.law, f"{why} (AICc of the others: {rivals}).{unknown}"


def compute_aicc(rss: float, n: int, n_free: int) -> float:
    """n ln(rss / n) + 2k + 2k(k + 1) / (n - k - 1) with k = `n_free` + 1 for the noise; infinite where n - k - 1 < 1."""
    k = n_free + 1
    if n - k - 1 < 1:
        return math.inf
    return n * math.log(max(rss, np.finfo(float).tiny) / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def _basis(law: str, x: np.ndarray, exponent: float = math.nan) -> np.ndarray:
    """The law's columns [n, n_linear]; what is left to fit is linear."""
    columns = {"constant": (), "log-linear": (np.log(x),), "power": (-(x**-exponent),)}[law]
    return np.stack([np.ones_like(x), *columns], axis=1)


def _fit(law: str, x: np.ndarray, means: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values at `at` [n_draws, n_at] of the law fitted to each row of means [n_draws, n_sizes], and its exponents.

    A power law is linear but for its exponent, which is searched on a grid (variable projection, Golub and Pereyra 1973).
    """
    best, curves = np.full(len(means), np.inf), np.zeros((len(means), len(at)))
    exponents = np.full(len(means), np.nan)
    for exponent in EXPONENTS if law == "power" else (math.nan,):
        basis = _basis(law, x, exponent)
        coefficients = means @ np.linalg.pinv(basis).T
        rss = ((means - coefficients @ basis.T) ** 2).sum(axis=1)
        better = rss < best
        best = np.where(better, rss, best)
        exponents = np.where(better, exponent, exponents)
        curves[better] = coefficients[better] @ _basis(law, at, exponent).T
    return curves, exponents


def _formula(law: str, x: np.ndarray, means: np.ndarray, exponent: float, centre: float) -> str:
    coefficients = np.linalg.pinv(_basis(law, x, exponent)) @ means
    a, n = number(coefficients[0], 4), f"N / {quantity(centre)}"
    if law == "constant":
        return a
    sign = "+" if (coefficients[1] > 0) == (law == "log-linear") else "−"
    b = number(abs(coefficients[1]), 4)
    return f"{a} {sign} {b} ln({n})" if law == "log-linear" else f"{a} {sign} {b} ({n})^−{exponent:.2f}"


def _why_unidentified(law: str, n_sizes: int, exponent: float) -> str:
    if law != "power":
        return ""
    if n_sizes <= LAWS[law]:
        return f"{n_sizes} sizes lie on one exactly, so nothing tests it"
    return "its exponent runs to the end of its range" if exponent in (EXPONENTS[0], EXPONENTS[-1]) else ""


def _interval(draws: np.ndarray) -> tuple[float, float]:
    if np.isnan(draws).any():
        return math.nan, math.nan
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
