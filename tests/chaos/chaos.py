"""`make chaos`: strikes a tiny study at random moments of its life, runs the same command again, and says what was lost.

Rounds of faults on one run directory each, from a random part of the study's life on. After each fault the run log must be
whole and what is finished untouched; after the last one the same command must end well, and every number be that of an
undisturbed run, bit for bit. Nothing is written into the repository. Exit code 1 where something did not hold.
"""

import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

import typer
from chaos_campaign import Campaign
from chaos_draw import Outcome, draw_rounds
from chaos_faults import FAULTS, Fault
from chaos_room import enter_room
from rich.console import Console
from rich.table import Table


def main(
    faults: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
    seed: Annotated[int | None, typer.Option(help="Of everything that is drawn; a new one by default.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only these kinds; may be given several times.")] = None,
    chain: Annotated[int, typer.Option(min=1, help="At most so many faults on one run directory.")] = 8,
    only_round: Annotated[int | None, typer.Option("--round", help="Only this round, to repeat it.")] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Begin no round after so long; 0: no limit.")] = 0,
) -> None:
    """Strikes, resumes, checks; then the table."""
    console = Console(highlight=False, markup=False, width=130, soft_wrap=True)
    chosen = [fault for fault in FAULTS if not kind or fault.name in kind]
    if kind and len(chosen) < len(set(kind)):
        raise typer.BadParameter(f"the kinds are {', '.join(repr(fault.name) for fault in FAULTS)}")
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    rounds = draw_rounds(chosen, faults, chain, seed)
    console.print(f"{faults} faults in {len(rounds)} rounds, seed {seed}")
    outcomes: list[Outcome] = []
    began = time.monotonic()
    campaign = Campaign(seed, console)
    with campaign:
        for number, planned in enumerate(rounds):
            if only_round not in (None, number) or (minutes and time.monotonic() - began > 60 * minutes):
                continue
            outcomes += planned
            campaign.play(number, planned)
    console.print(table_of(chosen, outcomes))
    n_struck = sum(bool(outcome.hit) for outcome in outcomes)
    console.print(
        f"{n_struck} faults struck, {len(outcomes) - n_struck} came too late or were not possible here; "
        f"{sum(bool(outcome.broken) for outcome in outcomes)} after which something did not hold; "
        f"{(time.monotonic() - began) / 60:.0f} minutes, seed {seed}"
    )
    raise typer.Exit(1 if not n_struck or any(outcome.broken for outcome in outcomes) else 0)


def table_of(chosen: list[Fault], outcomes: list[Outcome]) -> Table:
    """Kinds by what became of them."""
    table = Table(title="Faults by kind", title_justify="left")
    for heading in ("kind", "struck", "too late", "not possible here", "did not hold", "moments"):
        table.add_column(heading)
    for fault in chosen:
        own = [outcome for outcome in outcomes if outcome.fault is fault]
        phases = Counter(outcome.moment.phase for outcome in own if outcome.hit)
        table.add_row(
            fault.name,
            str(sum(bool(outcome.hit) for outcome in own)),
            str(sum(not outcome.hit and outcome.possible for outcome in own)),
            str(sum(not outcome.possible for outcome in own)),
            str(sum(bool(outcome.broken) for outcome in own)),
            ", ".join(f"{phase} {n}" for phase, n in phases.items()),
        )
    return table


if __name__ == "__main__":
    enter_room()
    typer.run(main)
