"""A whole command of a search without Ray: Tune's part is played, its trials end at once, and the run log is a real one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from foresight.tuning.record import Planned
from foresight.tuning.search import Search
from foresight.tuning.search_alg import ProposalSearcher
from foresight.tuning.search_launch import build_search_app

Columns = Callable[[Planned], Mapping[str, Any]]


class PlayedRunner:
    """In place of `foresight.tuning.execute.Runner`: one trial after the other, each with the columns of a formula."""

    columns: Columns
    die_after: int | None = None  # trials that end before the driver is killed, one more being at work
    ran: list[str]  # keys, in the order in which they were given out
    placement: Any  # of the last command that ran anything
    measured: list[str]  # arms whose latency its last run was to measure

    def __init__(self, ray: Any, log: Any, placement: Any, claim: Any, console: Any):
        self.log = log
        type(self).placement = placement

    def pretrain_decoders(self, trials: Any) -> None: ...

    def compute_features(self, trials: Any) -> None: ...

    def measure_latency(self, arms: Any) -> None:
        type(self).measured = [arm.name for arm in arms]

    def check_sensitivity(self, arms: Any) -> dict[str, float]:
        return {arm.name: 1.0 for arm in arms}

    def run_search(
        self, proposals: Any, planned: Any, scheduler: Any, ended: Callable[[], None], packing: Any = None
    ) -> None:
        searcher = ProposalSearcher(proposals, self.log, planned, lambda n_left: ended())
        for number in range(1000):
            suggested = searcher.suggest(f"tune-{number}")
            if suggested is None or isinstance(suggested, str):
                return
            item = suggested["planned"].planned
            self.ran.append(item.key)
            if number == self.die_after:
                raise KeyboardInterrupt
            row = item.identity() | {"status": "complete", **type(self).columns(item)}
            self.log.write_trial(row, config=item.trial.config.model_dump(mode="json"))
            searcher.on_trial_complete(f"tune-{number}")


class PlayedRay:
    def shutdown(self) -> None: ...


def play(
    monkeypatch: pytest.MonkeyPatch, folder: Path, columns: Columns, die_after: int | None = None
) -> type[PlayedRunner]:
    """Makes every command of this process one whose trials are played. `folder`: for the feature cache, which stays empty."""
    monkeypatch.setenv("FORESIGHT_CACHE", str(folder / "cache"))
    monkeypatch.setattr("foresight.tuning.begin.cluster_gpus", lambda: 0.0)

    class Runner(PlayedRunner): ...

    Runner.columns, Runner.die_after, Runner.ran = staticmethod(columns), die_after, []
    monkeypatch.setattr("foresight.tuning.execute.Runner", Runner)
    monkeypatch.setattr("foresight.tuning.ray_runtime.start_ray", lambda slots: PlayedRay())
    monkeypatch.setattr("foresight.tuning.ray_runtime.signal.signal", lambda *a: None)
    return Runner


def command(search: Search, *flags: str) -> Result:
    """What a person would type, at tiny scale."""
    return CliRunner().invoke(build_search_app(search), ["--scale", "tiny", *flags])
