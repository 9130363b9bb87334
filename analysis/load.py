"""Reads one study's run log and refuses what no table may be made from.

In: `runs/<study>` as `foresight.runlog` describes it. Out: StudyData, whose trials all belong to the sweep declared in
sweep.json, were scored on the same test images, which none of them was trained on, by the same definitions, and lie inside
every metric's range (`analysis.refusals`, `analysis.unseen`). Numbers are not changed here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import refusals
from analysis.claim import check_trial_claims
from analysis.details import read_curves, read_latency, read_sample_summaries
from analysis.reading import read_checked
from analysis.relative import add_relative_metrics
from analysis.test_set import check_test_set
from analysis.tested_rows import TestedRows
from analysis.unseen import Unproven, prove_unseen
from foresight.claim import Claim
from foresight.declared import (
    FactorInfo,
    check_declared,
    find_foreign_fields,
    list_arms,
    read_factors,
    searched_fields,
    varied_fields,
)
from foresight.errors import RequestError, nearest_name
from foresight.looks import from_json_rows
from foresight.manifest import ADDED, MANIFEST
from foresight.metrics import METRICS
from foresight.runlog import RunLog, usable_trials
from foresight.same_images import TEST_SET_COLUMNS
from foresight.stored_claim import read_claim


class NothingCompleteError(RequestError):
    """A run log whose trials failed or still run: it has a status (`analysis.without_numbers`) and no numbers."""


@dataclass(frozen=True)
class StudyData(TestedRows):
    """What one run log holds. Frames have one row per trial unless their comment says otherwise."""

    log: RunLog
    name: str
    sweep: dict[str, Any]
    claim: Claim
    factors: tuple[FactorInfo, ...]
    planned: pd.DataFrame  # manifest rows of the declared sweep
    trials: pd.DataFrame  # its recorded trials, any status
    complete: pd.DataFrame  # those of known provenance that ended; numbers of arms are of the `registered` ones
    latency: pd.DataFrame  # indexed by arm
    metrics: tuple[str, ...]  # measured on the test images and declared in METRICS, the primary first
    predictors: tuple[str, ...]  # trivial baselines and ceilings scored on the same images
    n_test: int | None  # None where imported trials do not say, or say different numbers
    recorded_looks: pd.DataFrame  # the tests that the sweep has made, TEST_COLUMNS of foresight.looks
    foreign_fields: dict[str, int]  # field -> recorded trials left out because it differs from the declared sweep
    samples: pd.DataFrame  # a row per complete trial, split and metric of its samples: `foresight.sample_summary`
    unproven: tuple[Unproven, ...]  # complete trials whose test images nothing proves to be unseen
    finished: dict[str, str]  # what was finished when the log was read: `RunLog.finished`

    @property
    def is_factorial(self) -> bool:
        return self.sweep.get("space", {}).get("design") == "factorial"

    @property
    def search(self) -> dict[str, Any] | None:
        """How the arms were searched for (`objectives`, `sampler`, `seeds`, ...); None where they were declared."""
        found: dict[str, Any] | None = self.sweep.get("space", {}).get("search")
        return found

    @property
    def searched_fields(self) -> tuple[str, ...]:
        """The config fields that a search varied."""
        return searched_fields(self.sweep)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Every epoch of every complete trial with its arm and seed, read when first asked for; empty without any."""
        return read_curves(self.log, self.finished, self.complete)

    @cached_property
    def comparable(self) -> pd.DataFrame:
        """The complete trials that are known to be scored on the same test images: all but imported ones."""
        return self.complete[self.complete["data/test_hash"].notna()]

    @cached_property
    def registered(self) -> pd.DataFrame:
        """The complete trials at the registered seeds, which every number of an arm is over: means and verdicts alike.

        All complete ones where nothing is planned, so that no seed is registered and no arm has a verdict.
        """
        seeds = self.registered_seeds
        return self.complete[self.complete["seed"].isin(seeds)] if seeds else self.complete

    def keys_at(self, arms: Iterable[str], seeds: Iterable[int]) -> str:
        """The keys of the registered trials of the arms at the seeds, with a space between: what a frame's `keys` holds."""
        arms = list(dict.fromkeys(arms))
        return " ".join(
            key for seed in seeds for arm in arms if (key := self._key_of.get((arm, int(seed)))) is not None
        )

    @cached_property
    def _key_of(self) -> dict[tuple[str, int], str]:
        rows = self.registered
        return dict(zip(zip(rows["arm"], rows["seed"], strict=True), rows["key"], strict=True))

    @cached_property
    def described(self) -> dict[str, dict[str, str]]:
        """Arm to its factor and level, from the plan where it is planned."""
        told = {}
        for trials in (self.trials, self.planned):
            rows = trials[["arm", "factor", "level"]].drop_duplicates("arm", keep="last").fillna("")
            for arm, factor, level in rows.astype(str).itertuples(index=False):
                told[arm] = {"factor": factor, "level": level}
        return told

    @cached_property
    def registered_seeds(self) -> tuple[int, ...]:
        """The blocks that verdicts are judged on: the first `claim.seeds` planned seeds, however many more there are.

        With looks (`foresight.looks`) each arm is judged on the first so many of `planned_seeds`, and criteria on these.
        """
        return self.planned_seeds[: self.claim.seeds]

    @property
    def over_seeds(self) -> str:
        """What every mean is over, in words: `the 5 registered seeds`."""
        n = len(self.registered_seeds)
        return f"the {n} registered seed{'s' if n > 1 else ''}" if n else "all complete seeds (none is registered)"

    @cached_property
    def judged_seeds(self) -> tuple[int, ...]:
        """Every block that a verdict may be judged on: those of the last look, or the registered ones."""
        return self.planned_seeds[: self.claim.looks()[-1].n_seeds]

    @cached_property
    def planned_seeds(self) -> tuple[int, ...]:
        """Every planned block, in order."""
        return tuple(sorted(map(int, self.planned["seed"].unique())))

    @cached_property
    def arms(self) -> list[str]:
        """Every arm, planned or recorded, the baseline first, then in the order of the plan.

        Without what a search stopped early: that has no number to set beside others (`analysis.proposals` lists it).
        """
        names = list_arms(self.planned, self.trials)
        if self.search is None:
            return names
        stopped = set(self.trials.loc[self.trials["status"] == "stopped", "arm"])
        return [name for name in names if name not in stopped]


def read_study(path: Path) -> StudyData:
    """Reads and checks `path`, a study's folder in the run log.

    Raises RequestError, one sentence, for an unknown study, a damaged file, a log without complete trials, and for all
    that `analysis.refusals` and `analysis.unseen` refuse.
    """
    log = RunLog(path)
    sweep, recorded, finished = _read_files(log, path)
    claim = read_claim(sweep)
    check_trial_claims(recorded, sweep | {"claim_hash": claim.hash})
    foreign = find_foreign_fields(recorded, sweep)
    trials = recorded[foreign == ""].reset_index(drop=True)
    complete = usable_trials(trials)
    if complete.empty:
        found = ", ".join(f"{n} {status}" for status, n in trials["status"].value_counts().items())
        left_out = f", {int((foreign != '').sum())} of another configuration" if (foreign != "").any() else ""
        raise NothingCompleteError(
            f"study '{path.name}' has no complete trial ({found or 'none of this sweep'}{left_out})"
        )
    complete = complete.reindex(columns=list(dict.fromkeys([*complete, *TEST_SET_COLUMNS])))  # imported ones lack them
    refusals.check_blocks(complete)
    refusals.check_one_configuration(complete)
    refusals.check_definitions(complete)
    n_test = check_test_set(complete)
    refusals.check_training_set(complete, varied_fields(sweep))
    refusals.check_further_sets(complete)
    samples = read_sample_summaries(log, finished, complete)
    unproven = prove_unseen(path, complete, samples)
    complete = add_relative_metrics(complete, claim.reference)
    columns = [str(name) for name in complete]
    measured = [name.removeprefix("test/") for name in columns if name.startswith("test/")]
    measured = [name for name in measured if complete[f"test/{name}"].notna().any()]
    refusals.check_ranges(complete)
    refusals.check_further_sets_named(complete)
    manifest = read_checked(log.read_manifest, [path / MANIFEST, path / ADDED])
    refusals.check_manifest(manifest)
    refusals.check_planned_identity(trials, manifest)
    planned = manifest[find_foreign_fields(manifest, sweep) == ""].reset_index(drop=True)
    if planned.empty:
        planned = pd.DataFrame(columns=["key", "arm", "factor", "level", "seed"])
    claim.check_arms(list_arms(planned, trials))
    data = StudyData(
        log=log,
        name=path.name,
        sweep=sweep,
        claim=claim,
        factors=read_factors(sweep),
        planned=planned,
        trials=trials,
        complete=complete,
        latency=read_latency(log, planned),
        metrics=tuple(
            sorted((m for m in measured if m in METRICS), key=lambda m: (m != claim.primary, list(METRICS).index(m)))
        ),
        predictors=tuple(dict.fromkeys(c.split("/")[1] for c in columns if c.startswith("baseline/"))),
        recorded_looks=from_json_rows(read_checked(log.read_looks, [path / "looks.json"]), claim),
        n_test=n_test,
        foreign_fields={str(field): int(n) for field, n in foreign[foreign != ""].value_counts().items()},
        samples=samples,
        unproven=unproven,
        finished=finished,
    )
    _check_registered(data, measured)
    return data


def _check_registered(data: StudyData, measured: list[str]) -> None:
    """Raises RequestError unless a complete trial at a registered seed measured the claim's primary metric."""
    if data.registered.empty:
        seeds = ", ".join(map(str, data.registered_seeds))
        raise NothingCompleteError(
            f"study '{data.name}' has no complete trial at its registered seeds ({seeds}), and no other seed enters a table"
        )
    column = f"test/{data.claim.primary}"
    if column not in data.registered or data.registered[column].isna().all():
        raise RequestError(
            f"the claim's primary metric '{data.claim.primary}' is in no complete trial of '{data.name}', "
            f"which measured {', '.join(measured) or 'nothing'}"
        )


def _read_files(log: RunLog, path: Path) -> tuple[dict[str, Any], pd.DataFrame, dict[str, str]]:
    """sweep.json, a row for every finished trial, and which these are."""
    if not path.is_dir():
        if not path.parent.is_dir():
            raise RequestError(f"no study '{path.name}': there is no folder '{path.parent}'")
        known = sorted(entry.name for entry in path.parent.iterdir() if entry.is_dir())
        listed = f"; it has {', '.join(known)}" if known else ", which is empty"
        raise RequestError(f"no study '{path.name}' in '{path.parent}'{nearest_name(path.name, known)}{listed}")
    sweep = read_checked(log.read_sweep, [path / "sweep.json"])
    if sweep is None:
        raise RequestError(f"study '{path.name}' has no sweep.json, so nothing says what was claimed")
    if not isinstance(sweep, dict):
        raise RequestError(f"'{path / 'sweep.json'}' is damaged: it holds no JSON object")
    if not (path / "manifest.parquet").exists():
        raise RequestError(f"study '{path.name}' has no manifest.parquet, so nothing says what was planned; restore it")
    trial_files = (
        file for pattern in ("consolidated.parquet", "trials/*/trial.parquet") for file in path.glob(pattern)
    )
    finished = log.finished()
    recorded = read_checked(partial(log.trials, finished), trial_files)
    if recorded.empty:
        raise RequestError(f"study '{path.name}' has an empty run log: no trial has been recorded yet")
    check_declared(sweep)
    refusals.check_schema(recorded)
    refusals.check_identity(recorded)
    return sweep, recorded.astype({"seed": "int64"}), finished
