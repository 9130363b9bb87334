"""What trials to come will take: slot-hours, GPU-hours, money and time, each with an interval, and what that rests on.

The nearest record there is decides: finished trials of this run log, else a probe (`foresight.tuning.probe_speed`), else
trials of other studies in the same folder at the same scale, else assumed speeds. A slot is one trial at a time, on all the
workers that share it; trials of another number of workers tell what they took of all theirs together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from foresight.config import TrialConfig
from foresight.config.trial import UNTRAINED_TASKS
from foresight.estimates import CONFIDENCE
from foresight.features.size import missing_flops
from foresight.price import SECONDS_PER_HOUR, Price
from foresight.runlog import RunLog
from foresight.space import Trial
from foresight.tuning.past_trials import measured_times, planned_work, read_complete, read_others
from foresight.tuning.prediction import Range, around, predict_seconds, predict_total
from foresight.tuning.sweep import Placement

# Assumed before anything is measured, and said so: of one CPU core, and of an A100 (312 TFLOP/s in bf16), which a small
# bridge at batch 8 leaves mostly idle and a large encoder does not.
ASSUMED_TRAINING_FLOPS = {"tiny": 1.0e10, "full": 0.05 * 312e12}
ASSUMED_EXTRACTION_FLOPS = 0.40 * 312e12
ASSUMED_MEASURING_S = {"tiny": 2.0, "full": 15.0}  # of a trial that trains nothing
ASSUMED_FACTOR = 5.0  # either way; toy studies on two busy cores trained at 2 to 22 GFLOP/s
ASSUMED_PRICE = Price(2.0, "USD")  # of an A100, where none is stated


@dataclass(frozen=True)
class Estimate:
    """What some trials will take. `gpus` are held by each slot; 0: they run on CPUs, and slot-hours are all there is."""

    n_trials: int
    is_trained: bool
    trials_s: Range  # slot-seconds of the trials
    extraction_s: Range  # slot-seconds of the features that the cache still lacks
    wall_s: Range
    slots: int
    gpus: float
    basis: str
    is_measured: bool  # rests on trials that have been run, not on assumed speeds

    @property
    def slot_hours(self) -> Range:
        return self.trials_s.plus(self.extraction_s).times(1 / SECONDS_PER_HOUR)

    @property
    def gpu_hours(self) -> Range:
        return self.slot_hours.times(self.gpus)

    def money(self, price: Price) -> Range:
        """At a price per GPU-hour; on CPUs a slot is priced as a GPU would be."""
        return self.slot_hours.times((self.gpus or 1.0) * price.per_gpu_hour)

    def as_json(self, price: Price | None) -> dict[str, Any]:
        """The plain tree of `--plan --json`. Without a stated price money is named only where there are GPUs, as assumed."""
        kind = "training" if self.is_trained else "measuring"
        tree: dict[str, Any] = {
            "n_trials": self.n_trials,
            f"{kind}_slot_s": asdict(self.trials_s),
            "extraction_slot_s": asdict(self.extraction_s),
            "slot_hours": asdict(self.slot_hours),
            "wall_s": asdict(self.wall_s),
            "confidence": CONFIDENCE,
            "basis": self.basis,
            "is_measured": self.is_measured,
        }
        if self.gpus:
            tree["gpu_hours"] = asdict(self.gpu_hours)
        if self.gpus or price is not None:
            at = price or ASSUMED_PRICE
            tree["money"] = asdict(self.money(at)) | {
                "currency": at.currency,
                "per_gpu_hour": at.per_gpu_hour,
                "is_assumed": price is None,
            }
        return tree


def estimate_cost(
    pending: Sequence[Trial],
    sizes: Mapping[str, Mapping[str, float]],
    log: RunLog,
    placement: Placement,
    probed: pd.DataFrame | None = None,
) -> Estimate:
    """What the pending trials, of one scale, will take. `sizes`: `flops` of an image's forward pass, by the arm's name.

    `probed` holds the times of a probe, as `foresight.tuning.past_trials.measured_times` gives those of finished trials.
    """
    scale = pending[0].config.scale if pending else "tiny"
    is_trained = not pending or pending[0].config.is_trained
    todo = planned_work(pending, sizes)
    done, basis = (
        _find_record(pending, log, placement, scale, probed) if pending else (pd.DataFrame(), "nothing to run")
    )
    if len(done):
        # An arm that has been run does the work that its trials recorded, so it takes as long as they did.
        todo["work"] = todo["arm"].map(done.groupby("arm")["work"].mean()).fillna(todo["work"])
        workers_s, longest_s = predict_total(done, todo), float(predict_seconds(done, todo).max())
        if "share" in done and placement.pack:  # a trial takes longer than it holds of a whole GPU
            longest_s /= float(done["share"].min())
    else:
        unit_s = 1 / ASSUMED_TRAINING_FLOPS[scale] if is_trained else ASSUMED_MEASURING_S[scale]
        workers_s, longest_s = around(float(todo["work"].sum()) * unit_s, ASSUMED_FACTOR), 0.0
        if len(todo):
            longest_s = float(todo["work"].max()) * unit_s
    trials_s, longest_s = workers_s.times(1 / placement.workers), longest_s / placement.workers
    extraction_s = estimate_extraction([trial.config for trial in pending], placement)
    # As many as there are slots run at once, and the end waits for the longest.
    at_once = min(placement.slots, max(1, len(pending)))
    wall_s = max(trials_s.expected / at_once, longest_s)
    share = wall_s / trials_s.expected if trials_s.expected else 0.0
    if scale == "full" and not placement.gpus:
        basis += f"; there is no GPU here, and {placement.processes} are assumed"
    return Estimate(
        n_trials=len(pending),
        is_trained=is_trained,
        trials_s=trials_s,
        extraction_s=extraction_s,
        wall_s=trials_s.times(share).plus(extraction_s.times(1 / placement.slots)),
        slots=placement.slots,
        gpus=placement.trial_gpus or (float(placement.workers) if scale == "full" else 0.0),
        basis=basis,
        is_measured=bool(len(done)),
    )


def estimate_extraction(configs: Sequence[TrialConfig], placement: Placement) -> Range:
    """Slot-seconds that computing the features will take which the cache lacks, at an assumed speed."""
    return around(
        missing_flops(configs, placement.store()) / ASSUMED_EXTRACTION_FLOPS / placement.workers, ASSUMED_FACTOR
    )


def _find_record(
    pending: Sequence[Trial], log: RunLog, placement: Placement, scale: str, probed: pd.DataFrame | None
) -> tuple[pd.DataFrame, str]:
    """arm, work and seconds of the nearest trials there are, none where speeds must be assumed; and what they are."""
    own = measured_times(read_complete(log, scale))
    if len(own):
        unseen = {trial.arm.name for trial in pending} - set(own["arm"])
        by_work = f"; the {len(unseen)} arms without one by their operations" if unseen else ""
        return own, f"as in {len(own)} finished trials of this run log{by_work}, on a machine as busy as it was then"
    if probed is not None:
        return probed, "by a short probe of the cheapest and the dearest arm, one at a time"
    others = read_others(placement.runs, log.root.name, scale)
    unread = f"; {', '.join(others.unreadable)} cannot be read and is left out" if others.unreadable else ""
    times = {study: measured_times(trials) for study, trials in others.trials.items()}
    task = pending[0].config.task
    same = {study: found for study, rows in times.items() if len(found := rows[rows["task"] == task])}
    if not same and pending[0].config.is_trained:  # what trains something else still tells how fast this machine is
        same = {
            study: found for study, rows in times.items() if len(found := rows[~rows["task"].isin(UNTRAINED_TASKS)])
        }
    if same:
        # A study is to this one what an arm is to an arm without trials.
        done = pd.concat([rows.assign(arm=study) for study, rows in same.items()], ignore_index=True)
        named = ", ".join(same) if len(same) <= 3 else f"{len(same)} other studies"
        return done, f"as in {len(done)} finished trials of {named}, by their operations{unread}"
    return (
        pd.DataFrame(),
        f"{_assumption(pending[0], scale, placement)} assumed, known to a factor of {ASSUMED_FACTOR:g}{unread}",
    )


def _assumption(trial: Trial, scale: str, placement: Placement) -> str:
    if not trial.config.is_trained:
        return f"{ASSUMED_MEASURING_S[scale]:g} s a trial"
    each = "slot" if placement.workers == 1 else "worker"
    return f"training at {ASSUMED_TRAINING_FLOPS[scale] / 1e9:,.0f} GFLOP/s a {each}"
