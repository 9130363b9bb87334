"""Reads one study's run log and refuses what no table may be made from.

In: `runs/<study>` as `foresight.runlog` describes it. Out: StudyData, whose trials all belong to the sweep declared in
sweep.json, were scored on the same test images, which none of them was trained on, by the same definitions, and lie inside
every metric's range (`analysis.refusals`, `analysis.unseen`). Numbers are not changed here.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import refusals
from analysis.claim import check_trial_claims, read_claim
from analysis.details import read_curves, read_latency, read_sample_summaries
from analysis.reading import read_checked
from analysis.relative import add_relative_metrics
from analysis.test_set import TEST_SET_COLUMNS, check_test_set, count_test_rows
from analysis.unseen import Unproven, prove_unseen
from foresight.claim import Claim
from foresight.errors import RequestError, nearest_name
from foresight.looks import from_json_rows
from foresight.metrics import METRICS
from foresight.runlog import RunLog, usable_trials
from foresight.space import BASELINE


class NothingCompleteError(RequestError):
    """A run log whose trials failed or still run: it has a status (`analysis.without_numbers`) and no numbers."""


@dataclass(frozen=True)
class FactorInfo:
    """A declared factor. `baseline_level` is the baseline's value of its field, one of `levels`.

    Where no level is the baseline's, because each sets a further field otherwise, the baseline stands as the first level.
    """

    name: str
    field: str
    levels: tuple[Any, ...]
    level_notes: dict[str, str]
    baseline_level: Any
    with_fields: tuple[str, ...] = ()  # further fields that change with the level

    def arm_at(self, level: Any) -> str:
        """The arm's name in a one-at-a-time design."""
        return BASELINE if level == self.baseline_level else f"{self.field}={level}"


@dataclass(frozen=True)
class StudyData:
    """What one run log holds. Frames have one row per trial unless their comment says otherwise."""

    log: RunLog
    name: str
    sweep: dict[str, Any]
    claim: Claim
    factors: tuple[FactorInfo, ...]
    planned: pd.DataFrame  # manifest rows of the declared sweep
    trials: pd.DataFrame  # its recorded trials, any status
    complete: pd.DataFrame  # those whose numbers enter tables
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
    def items(self) -> str:
        """What the test rows are, in the plural: `test images` unless the trials say otherwise."""
        named = self.complete.get("data/items", pd.Series(dtype=object)).dropna()
        return str(named.iloc[0]) if len(named) else "test images"

    def tested_on(self, arm: str = "") -> str:
        """How many test rows of what: `200 test images`, of the study or of one arm."""
        n_test = self.n_test_of(arm) if arm else self.n_test
        return f"an unknown number of {self.items}" if n_test is None else f"{n_test} {self.items}"

    def n_test_of(self, arm: str) -> int | None:
        """The number of test rows that an arm was or will be scored on; None where its trials do not say."""
        if self.n_test is not None:
            return self.n_test
        return count_test_rows(self.complete[self.complete["arm"] == arm])

    @cached_property
    def comparable(self) -> pd.DataFrame:
        """The complete trials that are known to be scored on the same test images: all but imported ones."""
        return self.complete[self.complete["data/test_hash"].notna()]

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
        names = dict.fromkeys([*self.planned["arm"].unique(), *self.trials["arm"].unique()])
        if self.search is not None:
            stopped = self.trials["status"].eq("stopped").groupby(self.trials["arm"]).any()
            names = {name: None for name in names if not stopped.get(name, False)}
        return sorted(names, key=lambda name: name != BASELINE)


def read_study(path: Path) -> StudyData:
    """Reads and checks `path`, a study's folder in the run log.

    Raises RequestError, one sentence, for an unknown study, a damaged file, a log without complete trials, and for all
    that `analysis.refusals` and `analysis.unseen` refuse.
    """
    log = RunLog(path)
    sweep, recorded, finished = _read_files(log, path)
    claim = read_claim(sweep)
    check_trial_claims(recorded, sweep)
    factors = _read_factors(sweep)
    baseline = {"scale": sweep["scale"]} if "scale" in sweep else {}
    baseline |= sweep.get("space", {}).get("baseline", {})
    varied = {"seed", *(factor.field for factor in factors), *(name for f in factors for name in f.with_fields)}
    varied |= set(searched_fields(sweep))
    fixed = {name: value for name, value in baseline.items() if name not in varied}

    foreign = _foreign_fields(recorded, fixed)
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
    refusals.check_definitions(complete)
    n_test = check_test_set(complete)
    refusals.check_training_set(complete, varied)
    refusals.check_further_sets(complete)
    samples = read_sample_summaries(log, finished, complete)
    unproven = prove_unseen(path, complete, samples)
    complete = add_relative_metrics(complete, claim.reference)
    columns = [str(name) for name in complete]
    measured = [name.removeprefix("test/") for name in columns if name.startswith("test/")]
    measured = [name for name in measured if complete[f"test/{name}"].notna().any()]
    if claim.primary not in measured:
        raise RequestError(
            f"the claim's primary metric '{claim.primary}' is in no complete trial of '{path.name}', "
            f"which measured {', '.join(measured) or 'nothing'}"
        )
    refusals.check_ranges(complete)
    manifest = read_checked(log.read_manifest, [path / "manifest.parquet"])
    refusals.check_manifest(manifest)
    planned = manifest[_foreign_fields(manifest, fixed) == ""].reset_index(drop=True)
    if planned.empty:
        planned = pd.DataFrame(columns=["key", "arm", "factor", "level", "seed"])
    claim.check_arms([str(arm) for arm in dict.fromkeys([*planned["arm"], *trials["arm"]])])
    return StudyData(
        log=log,
        name=path.name,
        sweep=sweep,
        claim=claim,
        factors=factors,
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
    refusals.check_schema(recorded)
    refusals.check_identity(recorded)
    return sweep, recorded, finished


def searched_fields(sweep: dict[str, Any]) -> tuple[str, ...]:
    """The fields of a search's dimensions, as sweep.json declares them; none for a design."""
    return tuple(str(dimension["field"]) for dimension in sweep.get("space", {}).get("dimensions", ()))


def _read_factors(sweep: dict[str, Any]) -> tuple[FactorInfo, ...]:
    space = sweep.get("space", {})
    factors = []
    for factor in space.get("factors", ()):
        instead = factor.get("instead", {})
        further = {name for fields in factor.get("with_level", {}).values() for name in fields}
        factors.append(
            FactorInfo(
                name=factor["name"],
                field=factor["field"],
                levels=(BASELINE, *factor["levels"]) if instead else tuple(factor["levels"]),
                level_notes=factor.get("level_notes", {}),
                baseline_level=BASELINE if instead else space["baseline"].get(factor["field"]),
                with_fields=tuple(further | set(instead)),
            )
        )
    return tuple(factors)


def _foreign_fields(rows: pd.DataFrame, fixed: dict[str, Any]) -> pd.Series:
    """Per row, the first config field that differs from the declared sweep, or ''; one not recorded does not differ."""
    found = pd.Series("", index=rows.index, dtype=object)
    for field, value in fixed.items():
        column = f"config/{field}"
        if column in rows:
            stored = rows[column]
            differs = (stored != value).to_numpy(dtype=bool, na_value=False) & stored.notna().to_numpy()
            if differs.any():
                found[differs & (found == "").to_numpy()] = field
    return found
