"""`main`: what `python sweeps/warm_cache.py` does: the features of studies are computed before their trials are paid for."""

from collections.abc import Callable, Iterable, Set
from typing import Annotated, Literal

import typer
from rich.console import Console

from foresight.config import TrialConfig
from foresight.errors import RequestError, nearest_name
from foresight.features.requests import discard_corrupt, missing_requests
from foresight.features.size import entry_sizes, missing_bytes
from foresight.tuning import preflight
from foresight.tuning.exit_codes import one_sentence
from foresight.tuning.feature_pool import fill_cache
from foresight.tuning.flags import CocoRoot, DataName, DavisRoot, Runs, Ssv2Root, check_flags, choose_scale, place
from foresight.tuning.ray_runtime import cluster_gpus, running_ray
from foresight.tuning.session import DONE
from foresight.tuning.study import Study, check_roots, open_study
from foresight.tuning.sweep import Placement, Sweep
from foresight.tuning.warm_plan import disk_size, make_warm_plan, print_warm_plan, warm_plan_json


def main(known: Iterable[str], load: Callable[[str], Sweep], searches: Iterable[str] = ()) -> None:
    """Runs the command line over the studies named in `known`, and exits with its code. `searches` are refused by name."""
    build_app(sorted(known), load, frozenset(searches))()


def build_app(known: list[str], load: Callable[[str], Sweep], searches: Set[str] = frozenset()) -> typer.Typer:
    """The command line. `load` gives the study of a name."""

    def command(
        studies: Annotated[list[str], typer.Argument(help="Names of studies, as in sweeps/<name>.py.")],
        scale: Annotated[
            Literal["tiny", "full"] | None, typer.Option(help="Default: full where there are GPUs, else tiny.")
        ] = None,
        plan: Annotated[bool, typer.Option("--plan", help="Show what would be computed and what it takes.")] = False,
        json: Annotated[bool, typer.Option("--json", help="With --plan: for machines.")] = False,
        runs: Runs = "runs",  # a study may decide what the next one reads
        data: Annotated[DataName | None, typer.Option(help="Default: what each study is declared on.")] = None,
        coco_root: CocoRoot = None,
        ssv2_root: Ssv2Root = None,
        davis_root: DavisRoot = None,
    ) -> None:
        """Fills the feature cache for studies before their trials are run."""
        console = Console(stderr=plan and json, highlight=False, markup=False)
        with one_sentence(console, Console(stderr=True, highlight=False), kept="every finished part"):
            unknown = [name for name in studies if name not in known]
            if unknown:
                if unknown[0] in searches:
                    raise RequestError(
                        f"'{unknown[0]}' is a search: its own command computes what its space reads, before a trial"
                    )
                hint = nearest_name(unknown[0], known)
                raise RequestError(f"no study '{unknown[0]}'{hint}; the studies are {', '.join(known)}")
            check_flags(plan, json)
            n_gpus = cluster_gpus()
            scale = scale or choose_scale(n_gpus, console)
            placement = place(scale, n_gpus, runs, {"coco": coco_root, "ssv2": ssv2_root, "davis": davis_root})
            opened = [open_study(load(name), scale, data, None, placement) for name in studies]
            check_roots(opened)
            for study in opened:
                if study.provisional:
                    console.print(
                        f"{study.sweep.name} depends on results that are not complete in {placement.place_of_runs}: its features "
                        "are those of the study as declared",
                        soft_wrap=True,
                    )
            configs = read_configs(opened)
            if not configs:
                raise RequestError(f"no trial of {', '.join(studies)} reads features, so there is nothing to fill")
            preflight.check_disk(placement.cache, 0, "the feature cache")
            if plan:
                made = make_warm_plan(studies, configs, placement)
                if json:
                    print(warm_plan_json(made))
                else:
                    print_warm_plan(made, console)
            else:
                warm(configs, placement, console)
            raise typer.Exit(DONE)

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    return app


def read_configs(studies: Iterable[Study]) -> list[TrialConfig]:
    """One config for each arm of the studies and of those that they need: seeds of an arm read the same entries."""
    arms: dict[str, TrialConfig] = {}
    for study in studies:
        for config in (*read_configs(study.needs), *(trial.config for trial in study.trials)):
            if config.is_trained:  # what trains nothing reads no features
                arms.setdefault(config.arm_key, config)
    return list(arms.values())


def warm(configs: list[TrialConfig], placement: Placement, console: Console) -> None:
    """Computes what the cache lacks. Raises RequestError before anything starts, RunEndedError when it cannot go on."""
    store = placement.store()
    discard_corrupt(configs, store)
    preflight.check_disk(placement.cache, missing_bytes(configs, store, placement.processes), "the feature cache")
    if missing_requests(configs, store):
        preflight.check_checkpoints(configs)
        with running_ray(placement.processes) as ray:
            fill_cache(ray, configs, placement, console)
    sizes = entry_sizes(configs)
    console.print(
        f"{len(sizes)} entries are cached, {disk_size(sum(sizes.values()))} in {placement.place_of_features}",
        soft_wrap=True,
    )
