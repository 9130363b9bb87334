"""Study: a sweep on this machine's data and run log, with the studies that it needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from rich.console import Console

from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.space import SearchSpace, Trial
from foresight.tuning import preflight
from foresight.tuning.session import DONE, Session
from foresight.tuning.sweep import Placement, Sweep, plan_trials, read_roots, resolve_space
from foresight.tuning.within_budget import BudgetMeter, run_study


@dataclass(frozen=True)
class Study:
    """What one command is about: the planned trials, and whether what they depend on is decided."""

    sweep: Sweep
    space: SearchSpace
    trials: list[Trial]
    log: RunLog
    placement: Placement
    needs: "tuple[Study, ...]"
    provisional: bool  # a needed study is not finished, so the space is as declared, without its choice

    def unfinished(self, for_study: Sweep) -> list[Trial]:
        """The trials that a study which needs this one has to wait for.

        One that chooses by results can do without a failed trial: a rate that diverges is a result. One that continues
        trained models cannot.
        """
        finished = ("complete", "failed") if for_study.choose is not None else ("complete",)
        statuses = self.log.statuses()
        return [trial for trial in self.trials if statuses.get(trial.key) not in finished]

    def check(self) -> None:
        """Raises RequestError for a run directory of something else, a full disk or an impossible budget."""
        self.check_plan()
        preflight.check_budgets(trial.config for trial in self.trials)

    def check_plan(self) -> None:
        """Raises RequestError for a run directory of another study, claim, scale, data set or configuration.

        And for trials that so many workers cannot share, and a place that can hold no run log.
        """
        preflight.check_disk(self.log.root, 0, "the run log")
        preflight.check_shared((trial.config for trial in self.trials), self.placement.workers)
        preflight.check_ownership(self.log, self.sweep, self.space.baseline)
        if not self.provisional:
            preflight.check_same_arms(self.log, self.trials)

    def logs(self) -> list[RunLog]:
        """The run logs of the studies that it needs, the deepest first, and its own."""
        found = [log for need in self.needs for log in need.logs()] + [self.log]
        return list({log.root: log for log in found}.values())

    def session(self, console: Console) -> Session:
        return Session(self.sweep, self.space, self.trials, self.log, self.placement, console)


def open_study(sweep: Sweep, scale: str, data: str | None, seeds: int | None, placement: Placement) -> Study:
    """The study with its needs, which have their own seeds. `seeds` None: as many as the sweep runs by default.

    Raises RequestError for data, a space or a run log that cannot be used.
    """
    needs = tuple(open_study(need, scale, data, None, placement) for need in sweep.needs)
    space = resolve_space(sweep, scale, data, placement.roots)
    preflight.check_measurable(sweep.claim, space.baseline)
    log = placement.log(sweep.name)
    log.refresh()
    preflight.check_readable(log)
    provisional = any(need.provisional or need.unfinished(sweep) for need in needs)
    if sweep.choose is not None and not provisional:
        space = sweep.choose(space, planned_results(needs))
    trials = plan_trials(sweep, space, seeds or sweep.seeds)
    own = replace(placement, slots=1, alone=True, pack=0) if sweep.alone else placement
    return Study(sweep, space, trials, log, own, needs, provisional)


def planned_results(needs: tuple[Study, ...]) -> Mapping[str, pd.DataFrame]:
    """The trials of each needed study that its plan holds: what else lies in its run log decides nothing."""
    results = {}
    for need in needs:
        trials = need.log.trials()
        results[need.sweep.name] = trials[trials["key"].isin({trial.key for trial in need.trials})]
    return results


def run_needs(study: Study, console: Console, meter: BudgetMeter) -> int:
    """Runs what is missing of the needed studies, the deepest first. Returns the exit code of the first that fails."""
    for need in study.needs:
        code = run_needs(need, console, meter)
        if code == DONE and need.provisional:
            need = open_study(
                need.sweep, need.space.baseline.scale, need.space.baseline.data.name, None, need.placement
            )
        if code == DONE and need.unfinished(study.sweep):
            console.print(f"{study.sweep.name} needs {need.sweep.name}, which runs first", soft_wrap=True)
            need.check()
            code = run_study(need.session(console), need.trials, False, meter)
            code = code if need.unfinished(study.sweep) else DONE
        if code != DONE:
            statuses = need.log.statuses()
            failed = any(statuses.get(trial.key) == "failed" for trial in need.trials)
            retry = (
                f"; python sweeps/{need.sweep.name}.py --retry-failed runs its failed trials again" if failed else ""
            )
            console.print(f"{study.sweep.name} needs {need.sweep.name}, which is not complete{retry}", soft_wrap=True)
            return code
    return DONE


def check_roots(studies: Sequence[Study]) -> None:
    """Raises RequestError for a folder that none of the studies reads, nor one that they need."""
    unread = set(studies[0].placement.roots).difference(*map(_read_roots, studies))
    if unread:
        name, asked = min(unread), ", ".join(study.sweep.name for study in studies)
        raise RequestError(f"'{asked}' does not read --{name}-root here; add --data {name} or leave it out")


def _read_roots(study: Study) -> set[str]:
    own = {name for trial in study.trials for name in read_roots(trial.config)}
    return own.union(*(_read_roots(need) for need in study.needs))


def require_needs(study: Study) -> None:
    """Raises RequestError when a needed study is not complete."""
    for need in study.needs:
        unfinished = need.unfinished(study.sweep)
        if need.provisional or unfinished:
            raise RequestError(
                f"'{study.sweep.name}' needs '{need.sweep.name}', of which {len(unfinished)} of {len(need.trials)} trials "
                f"are not complete; run it first: python sweeps/{need.sweep.name}.py"
            )
