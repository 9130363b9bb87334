"""One invocation of a search's command: proposals are made, run and told until there are as many as were asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console

from foresight.config import TrialConfig
from foresight.errors import RequestError, nearest_name
from foresight.features.requests import missing_requests
from foresight.manifest import GrowingManifest
from foresight.proposal_space import ProposalSpace
from foresight.runlog import RunLog
from foresight.space import BASELINE, Arm, Trial
from foresight.tuning import preflight
from foresight.tuning.budget import Budget
from foresight.tuning.declaration import manifest_row
from foresight.tuning.one_trial import run_here
from foresight.tuning.ray_runtime import running_ray
from foresight.tuning.record import Planned
from foresight.tuning.recorded import by_arm, lacking, read_recorded
from foresight.tuning.scratch import forget_finished
from foresight.tuning.search import Objective, Search
from foresight.tuning.search_budget import SearchBudget
from foresight.tuning.search_declaration import SearchDeclaration
from foresight.tuning.search_record import check_same_search, planned_trials
from foresight.tuning.search_words import say_state, summarise
from foresight.tuning.session import DONE, SOME_FAILED, shown
from foresight.tuning.sweep import Placement
from foresight.tuning.warm_start import WarmStart, check_sources

if TYPE_CHECKING:
    from foresight.tuning.proposals import Proposals

# The parts of a config that decide what the encoders are given, and so which features a proposal needs.
PARTS_OF_FEATURES = ("data", "vlm", "dinov2", "streams", "decoder")


@dataclass(frozen=True)
class SearchSession:
    """A search on this machine's data and run log. `sources` are run logs whose finished trials are told, and reused."""

    search: Search
    space: ProposalSpace
    objectives: tuple[Objective, ...]
    n_proposals: int
    log: RunLog
    placement: Placement
    sources: tuple[RunLog, ...]
    console: Console

    def check(self) -> None:
        """Raises RequestError for a run directory of something else or of another search, or a full disk."""
        preflight.check_readable(self.log)
        preflight.check_disk(self.log.root, 0, "the run log")
        preflight.check_ownership(self.log, self.search, self.space.baseline)
        check_same_search(self.log, self.declared, planned_trials(self.log))
        preflight.check_measurable(self.search.claim, self.space.baseline)
        smallest = {
            d.field: min(d.extremes()) for d in self.space.dimensions if d.field in ("train.batch_size", "data.n_train")
        }
        preflight.check_shared([self.space.baseline.with_fields(smallest)], self.placement.workers)
        check_sources(self.sources, self.log)

    def run(self, retry_failed: bool, limits: Budget, most_trials: int | None) -> int:
        """Goes on with the search from what its run log holds. Returns the exit code."""
        from foresight.tuning.execute import Runner

        budget = SearchBudget(limits, self.log, self.placement, self.search.seeds, self.search.asha is not None)
        with preflight.only_driver(self.log):
            forget_finished(self.log)
            warm = WarmStart(self.sources)
            manifest = GrowingManifest(self.log)
            proposals = self._proposals(warm, manifest, retry_failed, budget, most_trials)
            recorded = planned_trials(self.log)
            begun = [trial.config for trial in recorded if trial.key not in proposals.finished]
            features = [*self.space.combinations(*PARTS_OF_FEATURES), *begun]  # a narrowed space may not hold these
            self._check_machine(features)
            self.declared.write(self.log)
            for source, trials in warm.sources:
                told = proposals.tell_known(by_arm(trials.values()))
                self.console.print(f"warm start by {shown(source.place)}: {told.describe()}", soft_wrap=True)
            outside = proposals.resume(recorded, self._without_trials())
            say_state(
                self.search,
                self.space.baseline.train.epochs,
                proposals,
                outside,
                self.placement.describe_slots(),
                self.log,
                self.console,
            )
            goes_on = not proposals.n_left or budget.may_compute(features)
            if goes_on and (proposals.n_left or self._unmeasured(proposals)):
                with running_ray(self.placement.cores) as ray:
                    runner = Runner(ray, self.log, self.placement, self.search.claim, self.console)
                    if proposals.n_left:
                        probes = [Trial(Arm("", "", "", config), config) for config in features]
                        runner.pretrain_decoders(probes)
                        self._check_sensitivity(runner)
                        runner.compute_features(probes)
                        packing = runner.plan_packing(self._probed()) if self.placement.pack else None
                        budget.begin()
                        runner.run_search(proposals, self._planner(), self._scheduler(), budget.end_trial, packing)
                    runner.measure_latency(self._unmeasured(proposals))
            manifest.fold()
            self.declared.write(self.log, came_to=self._came_to(proposals, outside))
        code = summarise(self.search, proposals, self.log, self.console)
        if budget.lack is not None:
            self.console.print(f"the budget ends before the next proposal: {budget.lack}", soft_wrap=True)
            return SOME_FAILED
        return code

    def run_one(self, key: str) -> int:
        """Runs one trial that was proposed before in this process, so that a breakpoint works. Returns the exit code."""
        by_key = {trial.key: trial for trial in planned_trials(self.log)}
        if key not in by_key:
            raise RequestError(
                f"no proposed trial '{key}'{nearest_name(key, by_key)}; a search has the trials that it has proposed so far, and "
                "--plan --json lists them"
            )
        with preflight.only_driver(self.log):
            self._check_machine([by_key[key].config])
            row = run_here(self._planner()(by_key[key]), self.log, self.placement, self.console)
        return DONE if row["status"] == "complete" else SOME_FAILED

    @property
    def declared(self) -> SearchDeclaration:
        """What is put on record of it."""
        return SearchDeclaration(self.search, self.space, self.objectives, self.n_proposals, self.sources)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _proposals(
        self,
        warm: WarmStart,
        manifest: GrowingManifest,
        retry_failed: bool,
        budget: SearchBudget,
        most_trials: int | None,
    ) -> "Proposals":
        recorded = read_recorded(self.log)
        # What was taken over from a study that does not measure an objective is nothing that this search can go by.
        useless = {
            key
            for key, trial in recorded.items()
            if trial.is_adopted and trial.row["status"] == "complete" and lacking(trial.row, self.objectives)
        }
        if useless:
            self.console.print(
                f"{len(useless)} trials that were taken over from other studies lack what this search goes by, so they run here",
                soft_wrap=True,
            )
        finished = {
            key: trial.row
            for key, trial in recorded.items()
            if key not in useless and not (retry_failed and trial.row["status"] == "failed")
        }

        def plan(trial: Trial) -> None:
            manifest.add(manifest_row(trial))

        from foresight.tuning.proposals import Proposals  # needs optuna

        return Proposals(
            self.search,
            self.space,
            self.objectives,
            self.n_proposals,
            finished,
            plan=plan,
            answer=lambda trial: warm.take_over(trial, self.log, self.search, self.objectives, plan),
            may_propose=budget.may_propose,
            most_trials=most_trials,
        )

    def _without_trials(self) -> list[int]:
        """The proposals that earlier commands made and that have no trial: repeats, and what is no config."""
        stored = ((self.log.read_sweep() or {}).get("space") or {}).get("search") or {}
        return [int(number) for number in stored.get("came_to", {}).get("without_trials", [])]

    def _came_to(self, proposals: "Proposals", outside: list[int]) -> dict[str, Any]:
        return {"made": proposals.next_number, "outside": outside, "without_trials": sorted(proposals.without_trials)}

    def _planner(self) -> Callable[[Trial], Planned]:
        """Trial -> Planned, with its attempt number and what the search asks of it."""
        recorded = self.log.trials()
        attempts = dict(zip(recorded["key"], recorded["attempt"], strict=True)) if len(recorded) else {}
        search, first = self.search, self.space.baseline.seed

        def plan(trial: Trial) -> Planned:
            raced = self.objectives[0].column if search.asha is not None and trial.seed == first else ""
            attempt = int(attempts.get(trial.key, 0)) + 1
            return Planned(trial, search.name, attempt, claim_hash=search.claim.hash, raced=raced, timed=search.alone)

        return plan

    def _scheduler(self) -> Any:
        if self.search.asha is None:
            return None
        from foresight.tuning.search_alg import build_scheduler

        curves, epochs = self.log.epochs(), self.space.baseline.train.epochs
        first = [trial.key for trial in planned_trials(self.log) if trial.seed == self.space.baseline.seed]
        before: list[pd.DataFrame] = []
        if len(curves):
            of_trial = dict(list(curves.groupby("key", observed=True)))
            before = [of_trial[key] for key in first if key in of_trial]
        return build_scheduler(self.search.asha, self.objectives[0], epochs, before)

    def _check_machine(self, configs: Sequence[TrialConfig]) -> None:
        preflight.check_machine(configs, self.placement, self.log)
        cached = not missing_requests(configs, self.placement.store())
        preflight.check_checkpoints([c for c in configs if c.runs_encoders or self.search.alone or not cached])
        preflight.check_decoders(configs)

    def _check_sensitivity(self, runner: Any) -> None:
        """Checks that each dimension changes the model's output, before it costs anything."""
        from foresight.train.sensitivity import probe_config  # needs torch, as the trials do

        known = (self.log.read_sweep() or {}).get("sensitivity", {})
        own = probe_config(self.space.baseline)
        unchecked = [
            Arm(field, "", "", config)
            for field, config in self.space.neighbours()
            if field not in known and probe_config(config) != own  # some show only over a longer training than a probe
        ]
        if unchecked:
            baseline = Arm(BASELINE, "", "", self.space.baseline)
            self.declared.write(self.log, sensitivity={**known, **runner.check_sensitivity([baseline, *unchecked])})

    def _probed(self) -> list[Arm]:
        """The configurations whose need of memory is measured, for all that may be proposed: see `packing`."""
        arms = [Arm(field, "", "", config) for field, config in self.space.neighbours()]
        return [Arm(BASELINE, "", "", self.space.baseline), *arms]

    def _unmeasured(self, proposals: "Proposals") -> list[Arm]:
        """The arms with a complete trial whose latency is not on record; none where each trial measures its own."""
        if self.search.alone:
            return []
        measured = self.log.read_latency()
        known = set(measured["arm_key"]) if len(measured) else set()
        complete = [b for b in proposals.blocks.values() if b.outcome is not None and b.outcome.state == "complete"]
        return [b.arm for b in complete if b.arm.config.task == "reconstruction" and b.arm.config.arm_key not in known]
