"""A study of trials that do nothing, run by the real launcher: planned, checked, recorded and resumed as any other."""

import io
from pathlib import Path

from rich.console import Console

from foresight.claim import Claim
from foresight.config import TrialConfig
from foresight.space import Factor, SearchSpace
from foresight.tuning.ray_runtime import start_ray
from foresight.tuning.study import Study, open_study
from foresight.tuning.sweep import Placement, Sweep

SEEDS = 5


def open_empty_study(n_trials: int, scratch: Path, slots: int) -> Study:
    """`n_trials` in blocks of five: arms that differ in a number that nothing is done with."""
    baseline = TrialConfig(task="latency")
    repeats = tuple(range(baseline.timing.n_repeats, baseline.timing.n_repeats + n_trials // SEEDS))
    claim = Claim("Nothing happens.", primary="latency_ms", margin=1.0, alpha=0.05, seeds=SEEDS)
    sweep = Sweep(
        name="empty",
        question="What does a trial cost that does nothing?",
        space=lambda scale: SearchSpace(baseline, (Factor("repeats", "timing.n_repeats", repeats),)),
        claim=claim,
    )
    placement = Placement(runs=scratch / "runs", slots=slots, cache=scratch / "cache")
    return open_study(sweep, "tiny", None, None, placement)


def run_empty_study(study: Study) -> None:
    """Runs what is pending of it. Raises RuntimeError when a trial failed."""
    if len(study.log.statuses()) < len(study.trials):
        start_ray(study.placement.slots)  # its settings hold for a ray that has not been imported yet
        from benchmarks.empty_actor import EmptyTrialActor
        from foresight.tuning import trainable

        trainable.TrialActor = EmptyTrialActor  # type: ignore[misc]
    study.check()
    if study.session(Console(file=io.StringIO())).run(study.trials, retry_failed=False):
        raise RuntimeError(study.log.trials()["error"].dropna().head(3).tolist())
