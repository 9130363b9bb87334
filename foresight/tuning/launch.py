"""`main`: what `python sweeps/<study>.py` does. Flags say how to run, never what.

Exit codes: 0 done, 1 some trials failed, 2 the request is wrong (nothing started), 130 interrupted.
"""

import importlib.metadata
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError
from rich.console import Console

from foresight.config import explain
from foresight.errors import RequestError, nearest_name
from foresight.features.requests import missing_requests
from foresight.features.store import ArrayStore
from foresight.runlog import RunLog, config_columns
from foresight.space import SearchSpace, Trial
from foresight.tuning import preflight
from foresight.tuning.plan_report import level_notes, make_plan, plan_json, print_plan
from foresight.tuning.ray_runtime import cluster_gpus, start_ray
from foresight.tuning.record import Planned, git_commit, record_trial
from foresight.tuning.sweep import Placement, Sweep, plan_trials, resolve_space

DONE, SOME_FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130
TINY_NOTE = (
    "Toy encoders with random weights: these numbers show that the whole path works and how noisy it is. "
    "They say nothing about pretrained encoders."
)
RECORDED_VERSIONS = ("torch", "ray", "transformers", "timm", "lpips", "torchmetrics", "pandas", "numpy")


def main(sweep: Sweep) -> None:
    """Runs a study's command line and exits with its code."""

    def command(
        scale: Annotated[
            Literal["tiny", "full"] | None, typer.Option(help="Default: full where there are GPUs, else tiny.")
        ] = None,
        plan: Annotated[bool, typer.Option("--plan", help="Show what would run and what it would cost.")] = False,
        json: Annotated[bool, typer.Option("--json", help="With --plan: for machines.")] = False,
        seeds: Annotated[int, typer.Option(min=1, help="Blocks to run.")] = sweep.seeds,
        limit: Annotated[int | None, typer.Option(min=1, help="Only the first N trials of the plan.")] = None,
        one: Annotated[str | None, typer.Option(metavar="KEY", help="One trial, in this process, without Ray.")] = None,
        runs: Annotated[Path, typer.Option(help="Where run logs are kept.")] = Path("runs"),
        retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed trials again.")] = False,
        data: Annotated[Literal["shapes", "coco"], typer.Option(help="What is trained and measured on.")] = "shapes",
        coco_root: Annotated[Path | None, typer.Option(help="A folder in COCO's layout, with --data coco.")] = None,
    ) -> None:
        console = Console(stderr=plan and json, highlight=False)
        try:
            if coco_root is not None and data != "coco":
                raise RequestError("--coco-root is read only with --data coco; add it or leave the folder out")
            if json and not plan:
                raise RequestError("--json belongs to --plan; add --plan or leave it out")
            n_gpus = cluster_gpus()
            if scale is None:
                scale = "full" if n_gpus else "tiny"
                console.print(f"scale: {scale} ({n_gpus:.0f} GPUs here); choose with --scale tiny|full")
            placement = Placement(
                runs=runs.absolute(),
                slots=max(1, int(n_gpus)) if scale == "full" and n_gpus else os.cpu_count() or 1,
                gpus=1.0 if scale == "full" and n_gpus else 0.0,
                coco_root=coco_root.absolute() if coco_root else None,
            )
            space = resolve_space(sweep, scale, data, placement.coco_root)
            trials = plan_trials(sweep, space, seeds)
            log = RunLog(placement.runs / sweep.name)
            if plan:
                made = make_plan(sweep, space, trials, log, placement)
                if json:
                    print(plan_json(made))
                else:
                    print_plan(made, console)
                raise typer.Exit(DONE)
            preflight.check_ownership(log, sweep, space.baseline)
            session = Session(sweep, space, trials, log, placement, console)
            raise typer.Exit(session.run_one(one) if one else session.run(trials[:limit], retry_failed))
        except ValidationError as error:
            console.print(f"error: {explain(error)}", style="red", soft_wrap=True, markup=False)
            raise typer.Exit(WRONG_REQUEST) from error
        except RequestError as error:
            console.print(f"error: {error}", style="red", soft_wrap=True, markup=False)
            raise typer.Exit(WRONG_REQUEST) from error
        except KeyboardInterrupt as error:
            console.print("interrupted; every finished trial is kept, and the same command goes on from here")
            raise typer.Exit(INTERRUPTED) from error

    command.__doc__ = sweep.question
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    app()


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

    def run(self, wanted: list[Trial], retry_failed: bool) -> int:
        """Runs what is not finished of the wanted trials, then measures latency. Returns the exit code."""
        from foresight.tuning.execute import Runner

        with preflight.only_driver(self.log):
            pending = preflight.pending_trials(wanted, self.log.statuses(), retry_failed)
            arms = list({trial.arm.name: trial.arm for trial in wanted}.values())
            self.check_machine(pending)
            signal.signal(signal.SIGTERM, _interrupt)
            self.write_declaration()
            self.console.print(
                f"{self.sweep.name}, {self.space.baseline.scale} scale: {len(pending)} of {len(wanted)} trials to run, "
                f"{self.placement.slots} at a time, into {_shown(self.log.root)}"
            )
            ray = start_ray(self.placement.slots)
            try:
                runner = Runner(ray, self.log, self.placement, self.sweep.claim, self.console)
                if pending:
                    if not self.log.statuses():
                        probed = self.space.one_at_a_time().arms()
                        self.write_declaration(sensitivity=runner.check_sensitivity(probed))
                    runner.compute_features(pending)
                    runner.run_trials(self.planned(pending))
                runner.measure_latency(arms)
            finally:
                ray.shutdown()
        return self.summarise(wanted)

    def run_one(self, key: str) -> int:
        """Runs one planned trial in this process, finished or not, so that a breakpoint works. Returns the exit code."""
        by_key = {trial.key: trial for trial in self.trials}
        if key not in by_key:
            raise RequestError(f"no planned trial '{key}'{nearest_name(key, by_key)}; --plan --json lists the arms")
        trial = by_key[key]
        with preflight.only_driver(self.log):
            self.check_machine([trial])
            self.write_declaration()
            from foresight.features.extract import compute
            from foresight.features.stage import stage
            from foresight.metrics.lpips import load_lpips
            from foresight.metrics.lpips_trunk import find_trunk

            store, device = ArrayStore(self.placement.cache), self.placement.device
            for requests in missing_requests([trial.config], store):
                for request in requests:
                    compute(request, store, self.placement.coco_root, device)
            data = stage(trial.config, store, device)
            for row in record_trial(self.log, self.planned([trial])[0], data, load_lpips(find_trunk(), device), device):
                shown = "  ".join(f"{name} {value:.4g}" for name, value in row.items())
                self.console.print(shown, soft_wrap=True)
        return self.summarise([trial])

    def check_machine(self, pending: list[Trial]) -> None:
        """Raises RequestError when this machine cannot run the pending trials."""
        configs = [trial.config for trial in pending]
        cached = not missing_requests(configs, ArrayStore(self.placement.cache))
        preflight.check_machine(configs, self.placement, self.log, len(pending), cached)

    def write_declaration(self, sensitivity: dict[str, float] | None = None) -> None:
        """sweep.json and the manifest: what was planned and claimed, on disk before the first trial."""
        stored = self.log.read_sweep() or {}
        declaration: dict[str, Any] = {
            "study": self.sweep.name,
            "question": self.sweep.question,
            "scale": self.space.baseline.scale,
            "scale_note": TINY_NOTE if self.space.baseline.vlm.checkpoint == "random" else "",
            "data": {"name": self.space.baseline.data.name, "fingerprint": self.space.baseline.data.fingerprint},
            "claim": self.sweep.claim.to_json(),
            "claim_hash": self.sweep.claim.hash,
            "space": {
                "design": self.space.design,
                "baseline": self.space.baseline.flat(),
                "factors": [
                    {
                        "name": factor.name,
                        "field": factor.field,
                        "levels": list(factor.levels),
                        "level_notes": level_notes(factor, self.space.baseline),
                    }
                    for factor in self.space.factors
                ],
            },
            "versions": {name: importlib.metadata.version(name) for name in RECORDED_VERSIONS},
            "git_commit": git_commit(),
            "created": stored.get("created") or datetime.now(UTC).isoformat(timespec="seconds"),
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "sensitivity": sensitivity or stored.get("sensitivity", {}),
        }
        self.log.write_sweep(declaration)
        self.log.write_manifest(
            [
                {
                    "key": trial.key,
                    "arm": trial.arm.name,
                    "factor": trial.arm.factor,
                    "level": trial.arm.level,
                    "seed": trial.seed,
                    "arm_key": trial.config.arm_key,
                    **config_columns(trial.config.flat()),
                }
                for trial in self.trials
            ]
        )

    def planned(self, trials: list[Trial]) -> list[Planned]:
        """The trials with their attempt numbers: one more than the failed attempt on record."""
        recorded = self.log.trials()
        attempts = dict(zip(recorded["key"], recorded["attempt"], strict=True)) if len(recorded) else {}
        return [Planned(trial, self.sweep.name, int(attempts.get(trial.key, 0)) + 1) for trial in trials]

    def summarise(self, wanted: list[Trial]) -> int:
        """Says how the wanted trials ended, and returns the exit code that goes with it."""
        statuses = self.log.statuses()
        failed = [trial.key for trial in wanted if statuses.get(trial.key) == "failed"]
        n_complete = sum(statuses.get(trial.key) == "complete" for trial in wanted)
        self.console.print(f"{n_complete} of {len(wanted)} trials complete, {len(failed)} failed")
        if failed:
            self.console.print(f"failed: {', '.join(failed)}; run them again with --retry-failed", soft_wrap=True)
            return SOME_FAILED
        self.console.print(f"next: python -m analysis {self.sweep.name} --runs {_shown(self.log.root.parent)}")
        return DONE


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def _shown(path: Path) -> str:
    """A path as a person would type it from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
