"""`python -m benchmarks.calibration`: how often verdicts are wrong where no arm differs, and how often a difference is seen.

Studies are simulated as they are run: arms and a baseline over blocks, noise of several patterns. Each is judged by three
methods, with Holm's adjustment over all arms: the one that verdicts are made by (`foresight.contrasts`, the same lines),
the per-arm paired t-test and a block model with one pooled noise. It prints the rates and writes them to
analysis/calibration.csv, from which the report draws its figure. The same seed gives the same file.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

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
from foresight.contrasts import Contrasts, compute_contrasts, compute_paired
from foresight.estimates import Array
from foresight.storage.local import atomic_write_bytes

Noise = Callable[[np.random.Generator, int, int, int], Array]  # studies, arms with the baseline, seeds

ALPHA = 0.05
SEEDS = (3, 5, 10, 20)
ARMS = (2, 4, 14, 40)  # compared with the baseline
FACTOR_SIZES = (3, 3, 2, 2, 2, 2)  # of 14 arms: those of the ablation E-P2.5
POWER_SEEDS, POWER_ARMS, POWER_NOISES = (
    (3, 5, 10),
    14,
    ("equal", "noisy baseline", "two diverging", "half noisy", "lognormal"),
)
EFFECTS = tuple(np.arange(0.5, 8.01, 0.5).tolist())  # in standard deviations of a quiet arm's noise
LOSS = 1.0  # of every arm where non-inferiority is tested, and its margin
VALUES_AT_ONCE = 1_500_000  # numbers that are simulated together, for the memory's sake


def equal(rng: np.random.Generator, n: int, n_arms: int, n_seeds: int) -> Array:
    return rng.normal(size=(n, n_arms, n_seeds))


def lognormal(rng: np.random.Generator, n: int, n_arms: int, n_seeds: int) -> Array:
    """Every arm, the baseline too, has a standard deviation of its own: lognormal(0, 0.5)."""
    return equal(rng, n, n_arms, n_seeds) * rng.lognormal(0, 0.5, size=(n, n_arms, 1))


def heavy_tailed(rng: np.random.Generator, n: int, n_arms: int, n_seeds: int) -> Array:
    """Student's t with 3 degrees of freedom, whose standard deviation is sqrt(3)."""
    return rng.standard_t(3, size=(n, n_arms, n_seeds))


def with_noise_of(baseline: float = 1.0, share: float = 0.0, at_least: int = 0, arms: float = 1.0) -> Noise:
    """The baseline's standard deviation, and that of a share of the arms or of a few, the last ones; 1 for all others.

    The first arm, which may differ from the baseline, is a quiet one where there are three.
    """

    def draw(rng: np.random.Generator, n: int, n_arms: int, n_seeds: int) -> Array:
        sd = np.ones((n_arms, 1))
        sd[0] = baseline
        sd[n_arms - max(at_least, round(share * (n_arms - 1))) :] = arms
        return equal(rng, n, n_arms, n_seeds) * sd

    return draw


def in_steps_of(width: float) -> Noise:
    """A metric that moves in steps, as accuracy over 100 images does: equal noise, rounded to multiples of `width`."""

    def draw(rng: np.random.Generator, n: int, n_arms: int, n_seeds: int) -> Array:
        where = rng.uniform(size=(n, 1, 1))  # of the mean between two steps
        return np.round(equal(rng, n, n_arms, n_seeds) / width + where) * width

    return draw


def contrast_pooled(values_AS: Array) -> Contrasts:
    """Arm + block model with one noise for all: what most analyses of variance do."""
    n_arms, n_seeds = values_AS.shape[-2:]
    centred_AS = values_AS - values_AS.mean(-1, keepdims=True)
    residual_AS = centred_AS - centred_AS.mean(-2, keepdims=True)
    degrees = (n_arms - 1) * (n_seeds - 1)
    noise = (residual_AS**2).sum((-2, -1))[..., None] / degrees
    paired = compute_paired(values_AS)
    error = np.sqrt(2 * noise / n_seeds) + np.zeros_like(paired.difference)
    return replace(paired, standard_error=error, degrees=np.full_like(error, degrees))


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
            for kind, effect, found in count_verdicts(contrast, values_RAS, effects):
                counts[kind, method, effect] = counts.get((kind, method, effect), 0) + found
    for (kind, method, effect), found in counts.items():
        rate = found / repetitions
        yield {
            "kind": kind, "method": method, "noise": noise, "n_seeds": n_seeds, "n_arms": n_compared, "effect": effect,
            "rate": rate, "standard_error": np.sqrt(rate * (1 - rate) / repetitions), "repetitions": repetitions,
        }  # fmt: skip


def count_verdicts(
    contrast: Callable[[Array], Contrasts], values_RAS: Array, effects: tuple[float, ...]
) -> Iterator[tuple[str, float, int]]:
    """Kind of event, effect, and the number of studies in which it happened."""
    found = contrast(values_RAS)
    p = found.compute_p()
    yield FALSE, 0.0, _any_below(p)
    lowered_RAS = values_RAS - LOSS * (np.arange(values_RAS.shape[1]) > 0)[:, None]
    yield FALSE_NONINFERIOR, 0.0, _any_below(contrast(lowered_RAS).compute_p_noninferior(LOSS))
    if p.shape[-1] == sum(FACTOR_SIZES):
        ends = np.cumsum(FACTOR_SIZES)
        families = [p[:, end - size : end].min(-1) * size for end, size in zip(ends, FACTOR_SIZES, strict=True)]
        yield FALSE_BY_FACTOR, 0.0, int((np.min(families, axis=0) < ALPHA).sum())
    for effect in effects:  # a shift of one arm leaves everybody's noise as it is
        shifted = replace(found, difference=found.difference + effect * (np.arange(p.shape[-1]) == 0))
        is_seen = (adjust_holm(shifted.compute_p())[:, 0] < ALPHA) & (shifted.difference[:, 0] > 0)
        yield POWER, effect, int(is_seen.sum())


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
    """False verdicts of each method by noise, seeds and arms; then power."""
    largest = 1.96 * float(frame.loc[frame["kind"] == FALSE, "standard_error"].max())
    false = frame[frame["kind"].isin((FALSE, FALSE_NONINFERIOR, FALSE_BY_FACTOR))]
    for (kind, method), rows in false.groupby(["kind", "method"], sort=False):
        cells = sorted(set(zip(rows["n_seeds"], rows["n_arms"], strict=True)))
        title = f"{kind}, {method}: by seeds/arms (alpha {ALPHA}, ± {largest:.3f})"
        table = Table("noise", *(f"{n_seeds}/{n_arms}" for n_seeds, n_arms in cells), title=title, padding=(0, 0))
        for noise, row in rows.groupby("noise", sort=False):
            rate = dict(zip(zip(row["n_seeds"], row["n_arms"], strict=True), row["rate"], strict=True))
            table.add_row(str(noise), *(f"{rate[cell]:.3f}" for cell in cells))
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


NOISES: dict[str, Noise] = {
    "equal": equal,
    "noisy baseline": with_noise_of(baseline=3),
    "quiet baseline": with_noise_of(baseline=1 / 3),
    "two noisy arms": with_noise_of(at_least=2, arms=3),
    "two diverging": with_noise_of(at_least=2, arms=10),
    "quarter diverging": with_noise_of(share=0.25, at_least=1, arms=10),
    "half noisy": with_noise_of(share=0.5, arms=4),
    "half diverging": with_noise_of(share=0.5, arms=10),
    "baseline noisy, two diverging": with_noise_of(baseline=4, at_least=2, arms=10),
    "lognormal": lognormal,
    "heavy-tailed": heavy_tailed,
    "steps": in_steps_of(1.0),
    "coarse steps": in_steps_of(2.0),
}
METHODS: dict[str, Callable[[Array], Contrasts]] = {
    CHOSEN: compute_contrasts,
    PAIRED_T: compute_paired,
    POOLED: contrast_pooled,
}

if __name__ == "__main__":
    typer.run(main)
