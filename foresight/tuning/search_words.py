"""What a person is told of a search: how far it is when the command begins, and how it ended."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from foresight.runlog import RunLog
from foresight.tuning.search import Search
from foresight.tuning.session import DONE, SOME_FAILED, shown

if TYPE_CHECKING:
    from foresight.tuning.proposals import Proposals


def say_state(
    search: Search,
    epochs: int,
    proposals: "Proposals",
    outside: Sequence[int],
    at_once: str,
    log: RunLog,
    console: Console,
) -> None:
    """How far the search is, and by what it goes on. `outside` are the recorded proposals that its space no longer holds."""
    how = f"{search.sampler} by {', '.join(search.objectives)} on validation images"
    if search.asha is not None:
        how += f", trials may be stopped after epoch {', '.join(map(str, search.asha.rungs(epochs)))} of {epochs}"
    console.print(
        f"{search.name}, {proposals.space.baseline.scale} scale: {proposals.next_number} of {proposals.n_proposals} proposals "
        f"made, at most {proposals.n_left} trials to run, {at_once}, into {shown(log.place)}; {how}",
        soft_wrap=True,
    )
    if outside:
        owed = sum(proposals.by_key[key].is_outside for key in proposals.owed)
        begun = f"; {owed} of their trials had begun, and end first" if owed else ""
        console.print(
            f"{len(outside)} recorded proposals lie outside the space as it is declared now, so the sampler is not told of "
            f"them{begun}",
            soft_wrap=True,
        )


def summarise(search: Search, proposals: "Proposals", log: RunLog, console: Console) -> int:
    """Says how the proposals ended, and returns the exit code that goes with it."""
    states = Counter(
        "outside the space" if block.is_outside else block.outcome.state if block.outcome else "open"
        for block in proposals.blocks.values()
    )
    shown_first = ("complete", "stopped", "failed", "open", "outside the space")
    told = [f"{states[state]} {state}" for state in shown_first if states[state]]
    told += [f"{len(proposals.repeated)} repeated an earlier one", f"{len(proposals.refused)} refused by the config"]
    console.print(
        f"{proposals.next_number} of {proposals.n_proposals} proposals made: {', '.join(told)}", soft_wrap=True
    )
    if proposals.stopped_early:
        console.print("ended before the last proposal, as was asked; the same command goes on here", soft_wrap=True)
    failed = [key for key, status in log.statuses().items() if status == "failed"]
    if failed:
        console.print(f"failed: {', '.join(failed)}; run them again with --retry-failed", soft_wrap=True)
    if not proposals.stopped_early:
        console.print(f"next: python -m analysis {search.name} --runs {shown(log.place.above)}", soft_wrap=True)
    return SOME_FAILED if failed or states["open"] or proposals.owed else DONE
