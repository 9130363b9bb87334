"""What the run log of a search says of it: the trials that it has planned, and that it is the same search still."""

import json
from typing import Any

from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.space import BASELINE, Arm, Trial
from foresight.tuning.recorded import rebuild_config
from foresight.tuning.search_declaration import SearchDeclaration


def planned_trials(log: RunLog) -> list[Trial]:
    """The manifest's trials in the order of their proposals' numbers, then seeds.

    Raises RequestError for a row that is no trial of this version.
    """
    trials = []
    for row in log.read_manifest().to_dict("records"):
        config = rebuild_config({str(name): value for name, value in row.items()})
        if config is None:
            raise RequestError(
                f"{log} was searched with another version of the config: the key of {row['key']} is not that of its fields any "
                "more; use another --runs, and --warm-start cannot read it either"
            )
        trials.append(Trial(Arm(row["arm"], row["factor"], row["level"], config), config))
    return sorted(trials, key=lambda trial: (number_of(trial.arm.name), trial.seed))


def number_of(arm: str) -> int:
    """The number of a proposal by its arm's name: 0 for `baseline`, 7 for `p007`."""
    return 0 if arm == BASELINE else int(arm.removeprefix("p"))


def check_same_search(log: RunLog, declared: SearchDeclaration, planned: list[Trial]) -> None:
    """Raises RequestError where the recorded trials were those of another baseline, other objectives or other seeds.

    They would be no part of this search: its trials would all run anew, or be told by values that they were not chosen by.
    What else changes goes on, and stays on record (`foresight.amendment.space_changes`).
    """
    recorded = (log.read_sweep() or {}).get("space") or {}
    if not planned or "search" not in recorded:
        return
    before, after = recorded["search"], declared.goals()
    own: dict[str, Any] = json.loads(json.dumps(declared.space.baseline.flat()))
    theirs = recorded["baseline"]
    moved = [name for name in own if name not in theirs or own[name] != theirs[name]]
    change = ""
    if moved:
        change = f"a baseline with {moved[0]} {theirs.get(moved[0])!r}, and now it is {own[moved[0]]!r}"
    elif before["objectives"] != after:
        change = f"the objectives {_named(before['objectives'])}, and now they are {_named(after)}"
    elif before["seeds"] != declared.search.seeds:
        change = f"{before['seeds']} seeds a proposal, and now they are {declared.search.seeds}"
    if change:
        raise RequestError(
            f"{log} was searched with {change}; use another --runs, with --warm-start to tell the sampler of these trials"
        )


def _named(goals: list[dict[str, Any]]) -> str:
    return ", ".join(f"{goal['name']} ({goal['direction']} is better)" for goal in goals)
