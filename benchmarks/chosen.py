"""`python -m benchmarks.chosen`: error rates of what is said of arms that the numbers themselves have chosen.

The best arm: studies in which no arm differs are simulated as in `benchmarks.calibration`; the arm with the best mean is set
against all others (`analysis.rivals`), and it is counted how often one is told apart from it, and how many intervals of
their differences miss 0. The front: an arm is dominated, or on the front, by a hundredth of the noise, and it is counted in
how many studies `analysis.pareto` is sure of each state.
"""

import math
import sys
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from analysis.front import compute_domination_share, compute_front_share, count_rivals
from analysis.front_states import (
    AMBIGUOUS,
    DOMINATED,
    ON_FRONT,
    SURE,
    compute_p_not_apart,
    compute_p_not_dominated,
    decide_state,
)
from analysis.resampling import draw_means
from analysis.rivals import confidence_of_chosen
from benchmarks.calibration import ALPHA, NOISES
from foresight.contrasts import compute_contrasts
from foresight.estimates import CONFIDENCE, Array, compute_half_width

SEEDS, ARMS = (3, 5, 10), (3, 5, 15)  # with the best
FRONT_SEEDS, DRAWS = (3, 5), 400
HAIR = 0.01
STATES = (ON_FRONT, AMBIGUOUS, DOMINATED)
# Losses and costs of each arm, less is better; noise of each of these objectives; the arm that is looked at comes last.
FRONTS: dict[str, tuple[Sequence[Sequence[float]], Sequence[float]]] = {
    "dominated by a hair in quality, cost fixed": ([[0, 1], [HAIR, 2]], [1, 0]),
    "dominated by a hair in quality and a noisy cost": ([[0, 0], [HAIR, HAIR]], [1, 1]),
    "dominated by a hair in three": ([[0, 0, 0], [HAIR, HAIR, HAIR]], [1, 1, 1]),
    "on the front by a hair in quality, one cheaper": ([[0, 1], [-HAIR, 2]], [1, 0]),
    "on the front by a hair in quality, 14 cheaper": ([*([0, j] for j in range(14)), [-HAIR, 14]], [1, 0]),
}


def simulate_best(noise: str, n_seeds: int, n_arms: int, repetitions: int, seed: int) -> tuple[float, float, float]:
    """Shares: of studies with an arm told apart from the best, of plain intervals that miss 0, of those that are shown."""
    rng = np.random.default_rng([seed, n_seeds, n_arms, *noise.encode()])
    values_RAS = NOISES[noise](rng, repetitions, n_arms, n_seeds)
    best = values_RAS.mean(-1).argmax(-1)[:, None]
    order = np.argsort(np.arange(n_arms) != best, axis=1, kind="stable")  # the best first
    found = compute_contrasts(np.take_along_axis(values_RAS, order[:, :, None], axis=1))
    told_apart = (found.compute_p().min(-1) * math.comb(n_arms, 2) < ALPHA).mean()
    plain, shown = (
        float((np.abs(found.difference) > compute_half_width(found.standard_error, found.degrees, confidence)).mean())
        for confidence in (CONFIDENCE, confidence_of_chosen(n_arms - 1))
    )
    return float(told_apart), plain, shown


def simulate_states(truth: Array, noise: Array, n_seeds: int, n_studies: int, seed: int) -> dict[str, float]:
    """Share of the studies in which the last arm comes out in each state; `truth` (A, K), less is better, `noise` (K,)."""
    rng, arm = np.random.default_rng([seed, n_seeds]), len(truth) - 1
    counts = dict.fromkeys(STATES, 0)
    maximise, spread = [False] * len(noise), np.zeros(truth.shape)
    for study in range(n_studies):
        values = truth + rng.normal(size=(n_seeds, *truth.shape)) * noise
        drawn = draw_means(values.reshape(n_seeds, -1), f"study {study}", n_draws=DRAWS)
        draws = drawn.reshape(DRAWS, *truth.shape)
        _, by = compute_domination_share(draws, maximise, range(len(truth)))
        state = decide_state(
            compute_front_share(draws, maximise)[arm],
            compute_p_not_apart(values, spread, maximise, [arm])[0],
            compute_p_not_dominated(values, spread, maximise, by)[arm],
            count_rivals(draws, maximise)[arm],
        )
        counts[state] += 1
    return {state: n / n_studies for state, n in counts.items()}


def main(
    repetitions: Annotated[int, typer.Option(min=100, help="Simulated studies in each cell of the best arm.")] = 10_000,
    studies: Annotated[int, typer.Option(min=100, help="Simulated studies in each cell of the front.")] = 1_000,
    seed: Annotated[int, typer.Option(help="Of the simulated noise.")] = 0,
) -> None:
    """Simulates and prints both tables."""
    console = Console(width=118, file=sys.stdout)
    title = (
        f"best arm: told apart / plain intervals that miss / those shown (alpha {ALPHA}, {repetitions} studies a cell)"
    )
    table = Table("seeds", "arms", "noise", "told apart", "plain miss", "shown miss", title=title)
    for n_seeds in SEEDS:
        for n_arms in ARMS:
            for noise in NOISES:
                rates = simulate_best(noise, n_seeds, n_arms, repetitions, seed)
                table.add_row(str(n_seeds), str(n_arms), noise, *(f"{rate:.3f}" for rate in rates))
    console.print(table)
    table = Table("the arm is truly", "seeds", *STATES, title=f"states (sure is {SURE:.0%}, {studies} studies a cell)")
    for name, (truth, noise_K) in FRONTS.items():
        for n_seeds in FRONT_SEEDS:
            shares = simulate_states(np.array(truth, float), np.array(noise_K, float), n_seeds, studies, seed)
            table.add_row(name, str(n_seeds), *(f"{shares[state]:.3f}" for state in STATES))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
