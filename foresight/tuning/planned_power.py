"""The power of a study at its declared margin, for `--plan`: its own noise where two blocks are complete, else other studies'."""

from typing import Any

import pandas as pd

from foresight.metrics import METRICS
from foresight.power import Noise, PlannedTest, estimate_noise
from foresight.space import PROPOSAL
from foresight.tuning.past_trials import read_complete, read_others
from foresight.tuning.study import Study


def plan_power(study: Study) -> dict[str, Any]:
    """Chances of a verdict at the claim's seeds (at its last look, where it has several), as a plain tree.

    Without noise to compute from, `paired_sd` and the chances are None; `detectable` is, too, where no difference is found with
    the power that the claim asks for.
    """
    claim, last = study.sweep.claim, study.sweep.claim.looks()[-1]
    noise, source = _find_noise(study)
    n_compared = len(study.space.arms()) - 1
    tree: dict[str, Any] = {
        "metric": claim.primary,
        "margin": claim.margin,
        "n_seeds": last.n_seeds,
        "n_compared": n_compared,
        "level": last.level,
        "paired_sd": None,
        "noise_from": source,
        "at_margin": None,
        "noninferior": None,
        "detectable": None,
        "detectable_power": claim.power,
    }
    if noise is None or n_compared < 1:
        return tree
    test = PlannedTest(n_compared, last.n_seeds, last.level, noise.paired_sd)
    metric, detectable = METRICS[claim.primary], test.detectable(claim.power)
    return tree | {
        "paired_sd": noise.paired_sd,
        "at_margin": test.power(claim.margin),
        "noninferior": test.noninferiority_power(claim.margin),
        # Of few seeds it may be larger than any two values of the metric can differ.
        "detectable": detectable if detectable <= metric.high - metric.low else None,
    }


def power_line(power: dict[str, Any]) -> str:
    """The power for people, in one line."""
    label = METRICS[power["metric"]].label
    if power["paired_sd"] is None:
        return f"power at the margin of {power['margin']:g} {label}: {power['noise_from']}"
    with_power = f"with {power['detectable_power']:g}"
    found = "no possible one" if power["detectable"] is None else f"one of {power['detectable']:.2g}"
    return (
        f"power: at {power['n_seeds']} seeds a true difference of {power['margin']:g} {label} (the margin) is found with power "
        f"{power['at_margin']:.2f}, {found} {with_power}; an arm as good as the "
        f"baseline is shown non-inferior with {power['noninferior']:.2f} ({power['n_compared']} comparisons at "
        f"{power['level']:.2g}; paired sd {power['paired_sd']:.2g}, {power['noise_from']})"
    )


def _find_noise(study: Study) -> tuple[Noise | None, str]:
    """The noise to plan with, and in words whose it is or why there is none."""
    primary, scale = study.sweep.claim.primary, study.space.baseline.scale
    own = estimate_noise(_measured(read_complete(study.log, scale), primary))
    if own is not None:
        return own, f"the middle one of {own.n_arms} arms of this run log, {own.n_differences} differences"
    others = read_others(study.placement.runs, study.log.root.name, scale).trials
    # A search's arms are configurations far from each other, some of which learn nothing.
    declared = {name: rows[rows["factor"] != PROPOSAL] for name, rows in others.items()}
    found = {name: noise for name, rows in declared.items() if (noise := estimate_noise(_measured(rows, primary)))}
    if not found:
        return None, f"unknown before two blocks are complete, as no study in {study.placement.runs} tells of its noise"
    name = sorted(found, key=lambda study_name: found[study_name].paired_sd)[len(found) // 2]
    several = f", the middle one of {len(found)} other studies" if len(found) > 1 else ""
    return found[name], f"as in {name}{several}"


def _measured(trials: pd.DataFrame, metric: str) -> pd.DataFrame:
    """arm, seed and value of trials on the test images that most of them were scored on, or on none, as times are."""
    trials = trials.reindex(columns=["arm", "seed", "data/test_hash", f"test/{metric}"])
    trials = trials[trials[f"test/{metric}"].notna()]
    hashes = trials["data/test_hash"]
    usual = hashes.isna() | hashes.isin(hashes.mode()[:1])
    return trials.loc[usual, ["arm", "seed"]].assign(value=trials[f"test/{metric}"].astype(float))
