"""`python -m benchmarks.calibration`: how often verdicts are wrong where no arm differs, and how often a difference is seen.

Studies are simulated as they are run: arms and a baseline over blocks, noise of several patterns. Each is judged as the
analysis judges, two-sided tests with Holm's adjustment over all arms, by three methods: the one the analysis uses, the
per-arm paired t-test and a block model with one pooled noise. It prints the rates and writes them to
analysis/calibration.csv, from which the report draws its figure. The same seed gives the same file.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.table import Table
from scipy.special import stdtr

from analysis.calibration import (
    CALIBRATION_COLUMNS,
    CALIBRATION_PATH,
    CHOSEN,
    FALSE,
    FALSE_BY_FACTOR,
    FALSE_NONINFERIOR,
    PAIRED_T,
    POOLED,
    POWER,
)
from foresight.moderation import Array, Contrasts, compute_contrasts, compute_paired, compute_residual_variances
from foresight.storage.local import atomic_write_bytes

ALPHA = 0.05
SEEDS = (3, 5, 10, 20)
ARMS = (2, 4, 14, 40)  # compared with the baseline
FACTOR_SIZES = (3, 3, 2, 2, 2, 2)  # of 14 arms: those of the ablation E-P2.5
POWER_SEEDS, POWER_ARMS, POWER_NOISES = (3, 5, 10), 14, ("equal", "noisy baseline", "lognormal")
EFFECTS = tuple(np.arange(0.5, 8.01, 0.5).tolist())  # in standard deviations of a quiet arm's noise
VALUES_AT_ONCE = 1_500_000  # numbers that are simulated together, for the memory's sake


def equal(rng: np.random.Generator, n: int, n_arms: int, n_seeds: int) -> Array:
    return rng.normal(size=(n, n_arms, n_seeds))


def noisy_baseline(rng: np.random.Generator, n: int, n_arms: int, n_seeds: int) -> Array:
    draws = equal(rng, n, n_arms, n_seeds)
    draws[:, 0] *= 3
    return draws


def quiet_baseline(rng: np.random.Generator, n: int, n_arms: int, n_seeds: int) -> Array:
    draws = equal(rng, n, n_arms, n_seeds)
    draws[:, 0] /= 3
    return draws


def two_noisy_arms(rng: np.random.Generator, n: int, n_arms: int, n_seeds: int) -> Array:
    """The last two arms, which never differ from the baseline; the first, which may, is quiet where there are three."""
    draws = equal(rng, n, n_arms, n_seeds)
    draws[:, -2:] *= 3
    return draws


def lognormal(rng: np.random.Generator, n: int, n_arms: int, n_seeds: int) -> Array:
    """Every arm, the baseline too, has a standard deviation of its own: lognormal(0, 0.5)."""
    return equal(rng, n, n_arms, n_seeds) * rng.lognormal(0, 0.5, size=(n, n_arms, 1))


def heavy_tailed(rng: np.random.Generator, n: int, n_arms: int, n_seeds: int) -> Array:
    """Student's t with 3 degrees of freedom, whose standard deviation is sqrt(3)."""
    return rng.standard_t(3, size=(n, n_arms, n_seeds))


def contrast_pooled(values_AS: Array) -> Contrasts:
    """Arm + block model with one noise for all: what most analyses of variance do."""
    n_arms, n_seeds = values_AS.shape[-2:]
    noise = compute_residual_variances(values_AS).mean(-1, keepdims=True)
    difference = values_AS[..., 1:, :].mean(-1) - values_AS[..., :1, :].mean(-1)
    error = np.sqrt(2 * noise / n_seeds) + np.zeros_like(difference)
    return Contrasts(difference, error, np.full_like(difference, (n_arms - 1) * (n_seeds - 1)), POOLED)


def adjust_holm(p: Array) -> Array:
    """Holm's adjustment along the last axis: `foresight.compare.compute_holm` for many studies at once."""
    order = np.argsort(p, axis=-1)
    factors = np.arange(p.shape[-1], 0, -1)
    steps = np.maximum.accumulate(np.take_along_axis(p, order, -1) * factors, axis=-1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(steps, 1.0), axis=-1)
    return adjusted


def simulate_cell(
    noise: str, n_seeds: int, n_compared: int, repetitions: int, seed: int, effects: tuple[float, ...] = ()
) -> Iterator[dict[str, Any]]:
    """Rows of CALIBRATION_COLUMNS but seed and command, for one pattern of noise, number of seeds and number of arms.

    `effects` are the differences of one arm at which power is counted, beside the false verdicts where none differs.
    """
    counts: dict[tuple[str, str, float], int] = {}
    rng = np.random.default_rng([seed, n_seeds, n_compared, *noise.encode()])
    at_once = max(1, VALUES_AT_ONCE // ((n_compared + 1) * n_seeds))
    for start in range(0, repetitions, at_once):
        values_RAS = NOISES[noise](rng, min(at_once, repetitions - start), n_compared + 1, n_seeds)
        for method, contrast in METHODS.items():
            for kind, effect, found in count_verdicts(contrast(values_RAS), effects):
                counts[kind, method, effect] = counts.get((kind, method, effect), 0) + found
    for (kind, method, effect), found in counts.items():
        rate = found / repetitions
        yield {
            "kind": kind, "method": method, "noise": noise, "n_seeds": n_seeds, "n_arms": n_compared, "effect": effect,
            "rate": rate, "standard_error": np.sqrt(rate * (1 - rate) / repetitions), "repetitions": repetitions,
        }  # fmt: skip


def count_verdicts(found: Contrasts, effects: tuple[float, ...]) -> Iterator[tuple[str, float, int]]:
    """Kind of event, effect, and the number of studies in which it happened."""
    t = found.difference / found.standard_error
    p = 2 * stdtr(found.degrees, -np.abs(t))
    yield FALSE, 0.0, _any_below(p)
    yield FALSE_NONINFERIOR, 0.0, _any_below(stdtr(found.degrees, -t))  # every arm loses just the margin
    if p.shape[-1] == sum(FACTOR_SIZES):
        ends = np.cumsum(FACTOR_SIZES)
        families = [p[:, end - size : end].min(-1) * size for end, size in zip(ends, FACTOR_SIZES, strict=True)]
        yield FALSE_BY_FACTOR, 0.0, int((np.min(families, axis=0) < ALPHA).sum())
    for effect in effects:  # a shift of one arm leaves everybody's residuals as they are
        shifted = (found.difference[:, 0] + effect) / found.standard_error[:, 0]
        with_effect = np.concatenate([2 * stdtr(found.degrees[:, :1], -np.abs(shifted[:, None])), p[:, 1:]], axis=1)
        yield POWER, effect, int(((adjust_holm(with_effect)[:, 0] < ALPHA) & (shifted > 0)).sum())


def _any_below(p: Array) -> int:
    """Studies with a verdict: Holm's first step decides whether there is any."""
    return int((p.min(-1) * p.shape[-1] < ALPHA).sum())


def effects_of(noise: str, n_seeds: int, n_compared: int) -> tuple[float, ...]:
    """EFFECTS in the cells that power is shown of, none elsewhere."""
    return EFFECTS if n_compared == POWER_ARMS and n_seeds in POWER_SEEDS and noise in POWER_NOISES else ()


def run_calibration(repetitions: int, seed: int, command: str) -> pd.DataFrame:
    """All cells as one frame with CALIBRATION_COLUMNS."""
    rows = [
        row
        for noise in NOISES
        for n_seeds in SEEDS
        for n_compared in ARMS
        for row in simulate_cell(noise, n_seeds, n_compared, repetitions, seed, effects_of(noise, n_seeds, n_compared))
    ]
    frame = pd.DataFrame(rows).assign(alpha=ALPHA, seed=seed, command=command)
    return frame[list(CALIBRATION_COLUMNS)].sort_values(["kind", "method"], kind="stable").reset_index(drop=True)


def print_tables(frame: pd.DataFrame, console: Console) -> None:
    """False verdicts by seeds, arms and noise, one row for each method; then power."""
    largest = 1.96 * float(frame.loc[frame["kind"] == FALSE, "standard_error"].max())
    for kind in (FALSE, FALSE_NONINFERIOR, FALSE_BY_FACTOR):
        rows = frame[frame["kind"] == kind]
        table = Table("seeds", "arms", "method", *NOISES, title=f"{kind} (alpha {ALPHA}, ± {largest:.3f})")
        for (n_seeds, n_arms, method), cell in rows.groupby(["n_seeds", "n_arms", "method"]):
            rate = dict(zip(cell["noise"], cell["rate"], strict=True))
            table.add_row(str(n_seeds), str(n_arms), method, *(f"{rate[noise]:.3f}" for noise in NOISES))
        console.print(table)
    rows = frame[(frame["kind"] == POWER) & (frame["effect"] % 1 == 0)]
    effects = sorted(rows["effect"].unique())
    table = Table("seeds", "noise", "method", *(f"{e:g} sd" for e in effects), title=f"{POWER}, {POWER_ARMS} arms")
    for (n_seeds, noise, method), cell in rows.groupby(["n_seeds", "noise", "method"], sort=False):
        rate = dict(zip(cell["effect"], cell["rate"], strict=True))
        table.add_row(str(n_seeds), noise, method, *(f"{rate[effect]:.2f}" for effect in effects))
    console.print(table)


def main(
    repetitions: Annotated[int, typer.Option(min=100, help="Simulated studies in each cell.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Of the simulated noise.")] = 0,
    out: Annotated[Path, typer.Option(help="Where the rates are written.")] = CALIBRATION_PATH,
) -> None:
    """Simulates, prints the rates and writes them to a file."""
    command = f"python -m benchmarks.calibration --repetitions {repetitions} --seed {seed}"
    frame = run_calibration(repetitions, seed, command)
    print_tables(frame, Console(width=118, file=sys.stdout))
    atomic_write_bytes(out, frame.to_csv(index=False, float_format="%.6g").encode())
    typer.echo(str(out))


NOISES: dict[str, Callable[[np.random.Generator, int, int, int], Array]] = {
    "equal": equal,
    "noisy baseline": noisy_baseline,
    "quiet baseline": quiet_baseline,
    "two noisy arms": two_noisy_arms,
    "lognormal": lognormal,
    "heavy-tailed": heavy_tailed,
}
METHODS: dict[str, Callable[[Array], Contrasts]] = {
    CHOSEN: compute_contrasts,
    PAIRED_T: compute_paired,
    POOLED: contrast_pooled,
}

if __name__ == "__main__":
    typer.run(main)
