"""One invocation of a study's command: what is not finished of it is run, by Ray or as one trial in this process."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from foresight.errors import RequestError, nearest_name
from foresight.features.requests import missing_requests
from foresight.runlog import RunLog
from foresight.space import Arm, SearchSpace, Trial
from foresight.storage.place import Place
from foresight.tuning import preflight
from foresight.tuning.declaration import manifest_row, write_sweep
from foresight.tuning.level_notes import level_notes
from foresight.tuning.one_trial import run_here
from foresight.tuning.ray_runtime import running_ray
from foresight.tuning.record import Planned
from foresight.tuning.scratch import forget_finished
from foresight.tuning.so_far import SoFar
from foresight.tuning.sweep import Placement, Sweep, run_order

if TYPE_CHECKING:
    from foresight.tuning.execute import Runner

DONE, SOME_FAILED = 0, 1


class Session:
    """One invocation of a study's command, after its request was found to be right."""

    def __init__(
        self,
        sweep: Sweep,
        space: SearchSpace,
        trials: list[Trial],
        log: RunLog,
        placement: Placement,
        console: Console,
    ):
        self.sweep, self.space, self.trials = sweep, space, trials
        self.log, self.placement, self.console = log, placement, console
        self.so_far = SoFar()  # of the command that this is a part of

    def run(self, wanted: list[Trial], retry_failed: bool) -> int:
        """Runs what is not finished of the wanted trials, then measures latency. Returns the exit code."""
        self.execute(wanted, retry_failed)
        return self.summarise(wanted)

    def execute(self, wanted: list[Trial], retry_failed: bool) -> None:
        """As `run`, without a last word."""
        from foresight.tuning.execute import Runner

        with preflight.only_driver(self.log):
            forget_finished(self.log)
            pending = preflight.pending_trials(wanted, self.log.statuses(), retry_failed)
            unmeasured = self.unmeasured(wanted)
            self.check_machine(pending, unmeasured)
            self.write_declaration()
            self.console.print(
                f"{self.sweep.name}, {self.space.baseline.scale} scale: {len(pending)} of {len(wanted)} trials to run, "
                f"{self.placement.describe_slots()}, into {shown(self.log.place)}",
                soft_wrap=True,
            )
            if pending or unmeasured:
                with running_ray(self.placement.cores) as ray:
                    runner = Runner(ray, self.log, self.placement, self.sweep.claim, self.console, self.so_far)
                    if pending:
                        runner.pretrain_decoders(pending)
                        self.check_sensitivity(runner)
                        runner.compute_features(pending)
                        packing = runner.plan_packing(self.probed(pending)) if self.placement.pack else None
                        runner.run_trials(self.planned(run_order(self.sweep, pending)), packing)
                    runner.measure_latency(unmeasured)

    def probed(self, pending: list[Trial]) -> list[Arm]:
        """The arms whose need of memory is measured: those to run, and of a factorial's cells only those one at a time."""
        to_run = {trial.config.arm_key: trial.arm for trial in pending}
        one_at_a_time = {arm.config.arm_key: arm for arm in self.space.one_at_a_time().arms()}
        if set(to_run) <= set(one_at_a_time):
            return list(to_run.values())
        return list(one_at_a_time.values())

    def check_sensitivity(self, runner: "Runner") -> None:
        """Checks the arms that are not on record as changing the model's output, before they cost anything."""
        known = (self.log.read_sweep() or {}).get("sensitivity", {})
        baseline, *arms = self.space.one_at_a_time().arms()
        # What is measured as it is gives times: they differ anyway, and no loss could reach a parameter.
        unchecked = [arm for arm in arms if arm.name not in known and arm.config.is_trained]
        if unchecked:
            self.write_declaration(sensitivity={**known, **runner.check_sensitivity([baseline, *unchecked])})

    def unmeasured(self, wanted: list[Trial]) -> list[Arm]:
        """The arms of the wanted trials whose latency is not on record."""
        measured = self.log.read_latency()
        known = set(measured["arm_key"]) if len(measured) else set()
        # Only a bridge stands in a pipeline whose latency the plan asks for.
        of_bridges = [t for t in wanted if t.config.task == "reconstruction" and t.config.arm_key not in known]
        return list({t.arm.name: t.arm for t in of_bridges}.values())

    def run_one(self, key: str) -> int:
        """Runs one planned trial in this process, so that a breakpoint works. Returns the exit code.

        A complete or stopped trial is run again without being recorded: debugging must not replace a result.
        """
        by_key = {trial.key: trial for trial in self.trials}
        if key not in by_key:
            raise RequestError(f"no planned trial '{key}'{nearest_name(key, by_key)}; --plan --json lists them")
        trial = by_key[key]
        with preflight.only_driver(self.log):
            self.check_machine([trial], [])
            self.write_declaration()
            was_recorded = self.log.statuses().get(key) in ("complete", "stopped")
            ended = run_here(self.planned([trial])[0], self.log, self.placement, self.console)
            if was_recorded:
                return DONE if ended["status"] == "complete" else SOME_FAILED
        return self.summarise([trial])

    def check_machine(self, pending: list[Trial], unmeasured: list[Arm]) -> None:
        """Raises RequestError when this machine cannot run the pending trials or measure the unmeasured arms."""
        configs = [trial.config for trial in pending]
        cached = not missing_requests(configs, self.placement.store())
        preflight.check_machine(configs, self.placement, self.log)
        run_encoders = [arm.config for arm in unmeasured] + [c for c in configs if c.runs_encoders or not cached]
        preflight.check_checkpoints(run_encoders)
        preflight.check_decoders(configs)
        preflight.check_continued(configs, self.placement.place_of_runs)

    def write_declaration(self, sensitivity: Mapping[str, float] | None = None) -> None:
        """sweep.json and the manifest: what was planned and claimed, on disk before the first trial."""
        write_sweep(self.log, self.sweep, self.space.baseline, self.space_tree(), sensitivity)
        planned = set(self.log.read_manifest()["key"])
        self.log.write_manifest([manifest_row(trial) for trial in self.trials if trial.key not in planned])

    def space_tree(self) -> dict[str, Any]:
        """What varies, as sweep.json holds it."""
        return {
            "design": self.space.design,
            "baseline": self.space.baseline.flat(),
            "factors": [
                {
                    "name": factor.name,
                    "field": factor.field,
                    "levels": list(factor.levels),
                    "instead": dict(factor.instead),
                    "with_level": {str(level): dict(fields) for level, fields in factor.with_level.items()},
                    "level_notes": level_notes(factor, self.space.baseline),
                }
                for factor in self.space.factors
            ],
        }

    def planned(self, trials: list[Trial]) -> list[Planned]:
        """The trials with their attempt numbers: one more than the failed attempt on record."""
        recorded = self.log.trials()
        attempts = dict(zip(recorded["key"], recorded["attempt"], strict=True)) if len(recorded) else {}
        keep, claim = self.sweep.keep_weights, self.sweep.claim.hash
        return [Planned(t, self.sweep.name, int(attempts.get(t.key, 0)) + 1, keep, claim) for t in trials]

    def summarise(self, wanted: list[Trial]) -> int:
        """Says how the wanted trials ended, and returns the exit code that goes with it."""
        statuses = self.log.statuses()
        failed = [trial.key for trial in wanted if statuses.get(trial.key) == "failed"]
        n_complete = sum(statuses.get(trial.key) == "complete" for trial in wanted)
        unfinished = [trial.key for trial in wanted if trial.key not in statuses]
        self.console.print(f"{n_complete} of {len(wanted)} trials complete, {len(failed)} failed")
        if failed:
            self.console.print(f"failed: {', '.join(failed)}; run them again with --retry-failed", soft_wrap=True)
        if unfinished:
            self.console.print(f"not run: {', '.join(unfinished)}; the same command runs them", soft_wrap=True)
        if failed or unfinished:
            return SOME_FAILED
        self.console.print(
            f"next: python -m analysis {self.sweep.name} --runs {shown(self.log.place.above)}", soft_wrap=True
        )
        return DONE


def shown(place: Place) -> str:
    """A place as a person would type it from here."""
    if place.url is not None:
        return shlex.quote(place.url)
    return str(place.path.relative_to(Path.cwd()) if place.path.is_relative_to(Path.cwd()) else place.path)
