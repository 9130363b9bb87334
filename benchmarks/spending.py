"""`python -m benchmarks.spending`: what looking early costs and saves, with the error rate that it keeps.

Studies of 14 arms and a baseline are simulated as `--until-decided` runs them: at each look the arms still undecided are
compared with the baseline, with Holm's adjustment over the planned family at the look's own level, and arms that do not
go on get no more seeds. Noise is that of `benchmarks.calibration`; its unit, a quiet arm's standard deviation, is that of
margin and effects.
`fixed` gives every arm the last look's seeds and judges once; `full alpha` at every look is what looking without a rule does.
"""

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.calibration import ALPHA, NOISES
from foresight.contrasts import compute_contrasts
from foresight.estimates import Array
from foresight.spending import SPENDING_RULES, Look, Spending, plan_looks

LOOKS = (5, 8, 12, 20)
N_ARMS, N_DIFFERENT = 14, 5
MARGIN = 2.0
EFFECTS = (1.0, 2.0, 4.0)
UNDECIDED, BETTER, WORSE, NONINFERIOR = range(4)
FIXED, NAIVE = "fixed", "full alpha"
DESIGNS: dict[str, tuple[Look, ...]] = {
    FIXED: plan_looks(Spending("equal", LOOKS[-1:]), ALPHA),
    **{rule: plan_looks(Spending(rule, LOOKS), ALPHA) for rule in SPENDING_RULES},
    NAIVE: tuple(Look(i, n, ALPHA, ALPHA) for i, n in enumerate(LOOKS, start=1)),
}


def judge(values_RAS: Array, looks: tuple[Look, ...]) -> tuple[Array, Array]:
    """Verdict of every arm (R, A - 1) and the seeds that each arm and the baseline were run at (R, A).

    As `foresight.looks.take_look`, for many studies at once and higher values better; the baseline comes first.
    """
    n_studies, n_arms = values_RAS.shape[0], values_RAS.shape[1] - 1
    verdicts, goes_on = np.full((n_studies, n_arms), UNDECIDED), np.full((n_studies, n_arms), True)
    is_noninferior = np.full((n_studies, n_arms), False)  # also of arms that turned out better or worse later
    n_seeds = np.zeros((n_studies, n_arms + 1))
    for look in looks:
        n_seeds[:, 1:][goes_on] = look.n_seeds
        n_seeds[goes_on.any(1), 0] = look.n_seeds
        n_open_of = goes_on.sum(1)
        for n_open in range(1, n_arms + 1):  # studies with as many arms left are compared together
            rows = np.flatnonzero(n_open_of == n_open)
            arms = np.argsort(~goes_on[rows], axis=1, kind="stable")[:, :n_open]
            at = rows[:, None], arms
            chosen = np.concatenate([np.zeros((len(rows), 1), dtype=int), 1 + arms], axis=1)
            found = compute_contrasts(values_RAS[rows[:, None], chosen, : look.n_seeds])
            p, p_noninferior = found.compute_p(), found.compute_p_noninferior(MARGIN)
            n_rejected = np.isin(verdicts[rows], (BETTER, WORSE)).sum(1)
            differs = adjust_holm_of(p, n_arms - n_rejected) < look.level
            left = np.where(
                is_noninferior[at], 2.0, p_noninferior
            )  # what is rejected already comes last, and is no matter
            noninferior = adjust_holm_of(left, n_arms - is_noninferior[rows].sum(1)) < look.level
            is_noninferior[at] |= noninferior
            verdicts[at] = np.where(
                differs,
                np.where(found.difference > 0, BETTER, WORSE),
                np.where(is_noninferior[at], NONINFERIOR, UNDECIDED),
            )
            goes_on[at] = ~(differs | (is_noninferior[at] & (found.interval()[1] < MARGIN)))
    return verdicts, n_seeds


def adjust_holm_of(p: Array, n_family: Array) -> Array:
    """Holm's adjustment of each row, in a family of its own size of which the row holds what is left."""
    order = np.argsort(p, axis=1)
    factors = n_family[:, None] - np.arange(p.shape[1])
    steps = np.maximum.accumulate(np.take_along_axis(p, order, 1) * factors, axis=1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, np.minimum(steps, 1.0), axis=1)
    return adjusted


def simulate(noise: str, repetitions: int, seed: int) -> Iterator[dict[str, Any]]:
    """One row for each design and question: a rate and the mean number of seeds of an arm."""
    rng = np.random.default_rng([seed, *noise.encode()])
    values_RAS = NOISES[noise](rng, repetitions, N_ARMS + 1, LOOKS[-1])
    for design, looks in DESIGNS.items():
        verdicts, n_seeds = judge(values_RAS, looks)
        row = {"noise": noise, "design": design}
        false = np.isin(verdicts, (BETTER, WORSE)).any(1).mean()
        yield row | {"question": "false better or worse", "rate": false, "seeds": n_seeds.mean()}
        yield row | {
            "question": "no difference: decided",
            "rate": (verdicts != UNDECIDED).mean(),
            "seeds": n_seeds.mean(),
        }
        lowered = values_RAS.copy()
        lowered[:, 1:] -= MARGIN
        verdicts, n_seeds = judge(lowered, looks)
        yield row | {
            "question": "false non-inferior", "rate": (verdicts == NONINFERIOR).any(1).mean(), "seeds": n_seeds.mean(),
        }  # fmt: skip
        for effect in EFFECTS:
            raised = values_RAS.copy()
            raised[:, 1 : 1 + N_DIFFERENT] += effect
            verdicts, n_seeds = judge(raised, looks)
            power = (verdicts[:, :N_DIFFERENT] == BETTER).mean()
            yield row | {"question": f"power at {effect:g} sd", "rate": power, "seeds": n_seeds.mean()}


def main(
    repetitions: Annotated[int, typer.Option(min=100, help="Simulated studies in each cell.")] = 4_000,
    seed: Annotated[int, typer.Option(help="Of the simulated noise.")] = 0,
) -> None:
    """Simulates and prints, for each question, a rate and the mean seeds of an arm by design and noise."""
    frame = pd.DataFrame([row for noise in NOISES for row in simulate(noise, repetitions, seed)])
    console = Console(width=118, file=sys.stdout)
    console.print(f"looks at {LOOKS}, {N_ARMS} arms, alpha {ALPHA}, margin {MARGIN:g} sd, {repetitions} studies a cell")
    for question, rows in frame.groupby("question", sort=False):
        table = Table("noise", *DESIGNS, title=f"{question}: rate / seeds of an arm")
        for noise, cells in rows.groupby("noise", sort=False):
            table.add_row(
                str(noise), *(f"{r:.3f} / {n:.1f}" for r, n in zip(cells["rate"], cells["seeds"], strict=True))
            )
        console.print(table)


if __name__ == "__main__":
    typer.run(main)
