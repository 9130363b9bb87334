"""What a proposal takes as finished trials grow: of this system's search, and of Optuna's study alone with the same sampler.

Ours proposes, checks the configuration and puts its trial on record (a file that is flushed); Optuna only proposes. Both know
the same finished trials. The seconds are those of the process's own work, so other programs hardly move them.
"""

import math
import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import optuna

from foresight.claim import Claim
from foresight.config import TrialConfig
from foresight.dimensions import Choice, FloatRange, IntRange
from foresight.manifest import GrowingManifest
from foresight.proposal_space import ProposalSpace
from foresight.runlog import RunLog
from foresight.space import BASELINE, Arm, Trial
from foresight.tuning.declaration import manifest_row
from foresight.tuning.proposals import Proposals
from foresight.tuning.search import Search
from foresight.tuning.search_study import SAMPLERS, suggest

FINISHED = (100, 500, 1000, 2000)
ASKS = 10  # of which the median counts
SPACE = ProposalSpace(
    TrialConfig(),
    (
        Choice("fusion.strategy", ("cross_attention", "concat", "film")),
        IntRange("fusion.layers", 1, 8),
        FloatRange("train.lr", 1e-4, 1e-1, log=True),
        FloatRange("train.weight_decay", 1e-4, 1e-1, log=True),
    ),
)
CLAIM = Claim("An exploration.", "mask_iou", margin=0.02, alpha=0.05, seeds=2, exploratory=True)
SEARCH = Search("asked", "?", lambda scale: SPACE, CLAIM, proposals=10**6, seeds=1)


def value_of(params: dict[str, Any]) -> float:
    """A hill with its top inside the space."""
    miss = (params["fusion.layers"] - 5) ** 2 / 50 + (math.log10(params["train.lr"]) + 2.5) ** 2 / 5
    return 0.9 - miss - 0.1 * (params["fusion.strategy"] != "film")


def drawn_params(n: int) -> list[dict[str, Any]]:
    """Proposals that were made before, at random; the first is the baseline."""
    rng = random.Random(0)
    return [
        SPACE.params(SPACE.baseline),
        *(
            {
                "fusion.strategy": rng.choice(("cross_attention", "concat", "film")),
                "fusion.layers": rng.randint(1, 8),
                "train.lr": 10 ** rng.uniform(-4, -1),
                "train.weight_decay": 10 ** rng.uniform(-4, -1),
            }
            for _ in range(n - 1)
        ),
    ]


def measure_ask_times(scratch: Path, finished: tuple[int, ...] = FINISHED) -> list[dict[str, float]]:
    """A row for each number of finished trials: milliseconds of an ask of ours and of Optuna's, seconds to resume."""
    rows = []
    for n in finished:
        params = drawn_params(n)
        started = time.process_time()
        ours = _resumed(scratch / str(n), params)
        resumed_s = time.process_time() - started
        alone = _optuna_alone(params)
        rows.append({"n": n, "ours_ms": _median_ms(ours), "optuna_ms": _median_ms(alone), "resume_s": resumed_s})
    return rows


def _resumed(folder: Path, params: list[dict[str, Any]]) -> Callable[[], None]:
    """Asks our search, resumed from a run log of so many finished trials, and ends the trial that it gives."""
    objectives = SEARCH.check(SPACE)
    configs = [SPACE.config(one) for one in params]
    rows = {c.key: _row(one) for c, one in zip(configs, params, strict=True)}
    manifest = GrowingManifest(RunLog(folder))
    proposals = Proposals(
        SEARCH, SPACE, objectives, SEARCH.proposals, rows, plan=lambda trial: manifest.add(manifest_row(trial))
    )
    names = [BASELINE, *(f"p{number:03d}" for number in range(1, len(configs)))]
    proposals.resume([Trial(Arm(name, "", "", c), c) for name, c in zip(names, configs, strict=True)])

    def ask() -> None:
        trial = proposals.next()
        assert trial is not None
        proposals.end(trial.key, _row(SPACE.params(trial.config)))

    return ask


def _row(params: dict[str, Any]) -> dict[str, Any]:
    return {"status": "complete", "val/mask_iou": value_of(params)}


def _optuna_alone(params: list[dict[str, Any]]) -> Callable[[], None]:
    study = optuna.create_study(direction="maximize", sampler=SAMPLERS["tpe"](0, 0))
    for one in params:
        study.enqueue_trial(one)
    sampler, study.sampler = study.sampler, optuna.samplers.RandomSampler(seed=0)

    def ask() -> None:
        trial = study.ask()
        asked = {dimension.field: suggest(trial, dimension) for dimension in SPACE.ordered}
        study.tell(trial, value_of(asked))

    for _ in params:
        ask()
    study.sampler = sampler
    return ask


def _median_ms(ask: Callable[[], None]) -> float:
    times = []
    for _ in range(ASKS):
        started = time.process_time()
        ask()
        times.append(1e3 * (time.process_time() - started))
    return median(times)
