"""Packing: which share of a GPU each trial gets, by the memory that its arm needs, and what is learned where that was too little.

What an arm needs is measured once, by one epoch and one evaluation in a process that has a GPU to itself
(`foresight.tuning.memory_probe`), and kept in the run log, so that all of its trials run on one share and their times can be
compared. Where the run log holds finished trials of an arm instead, it is what they took. An arm that was not measured, as a
proposal of a search, or a cell of a factorial, takes the most that any measured one does. A trial that runs out of memory all
the same runs again on a larger share, and so do the others of its arm from then on.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from foresight.config import TrialConfig
from foresight.runlog import RunLog
from foresight.space import Arm
from foresight.tuning.gpu_share import KEPT_BY_ALLOCATOR, GpuShare, choose_parts
from foresight.tuning.out_of_memory import JUDGED, OUTGREW
from foresight.tuning.record import Planned

PEAK = "cost/peak_memory_mb"


@dataclass(frozen=True)
class Need:
    """What one arm is known to need of a GPU's memory, in MiB."""

    peak_mb: float | None = None  # the most that a process held of it in torch's allocator; None: never measured
    too_small_mb: float = 0.0  # the largest share on which a trial of it ran out of memory


@dataclass
class Packing:
    """Gives trials their shares of GPUs that have `gpu_mb` each. `overhead_mb` is what a process takes past torch's allocator."""

    log: RunLog
    gpu_mb: float
    overhead_mb: float
    needs: dict[str, Need] = field(default_factory=dict)  # by arm_key

    def is_measured(self, config: TrialConfig) -> bool:
        return self.needs.get(config.arm_key, Need()).peak_mb is not None

    def share_of(self, config: TrialConfig) -> GpuShare:
        """The share for a trial; a GPU of its own where nothing at all is known, or nothing is trained."""
        need = self.needs.get(config.arm_key, Need())
        peaks = [known.peak_mb for known in self.needs.values() if known.peak_mb is not None]
        if not config.is_trained or not peaks:
            return GpuShare(1, self.overhead_mb)
        peak_mb = max(peaks) if need.peak_mb is None else need.peak_mb
        return GpuShare(choose_parts(peak_mb + self.overhead_mb, self.gpu_mb, need.too_small_mb), self.overhead_mb)

    def place(self, item: Planned) -> Planned:
        """The same with its share, by what is known now."""
        return replace(item, share=self.share_of(item.trial.config))

    def measure(self, arm: Arm, peak_mb: float) -> None:
        """Keeps what a probe has found."""
        self._keep(arm, replace(self.needs.get(arm.config.arm_key, Need()), peak_mb=peak_mb))

    def enlarge(self, item: Planned, result: Mapping[str, Any], say: Callable[[str], None]) -> Planned:
        """The next attempt of a trial whose last result says that its share was too small, on a larger one.

        Its arm's other trials get that as well, from now on.
        """
        assert item.share is not None
        need = self.needs.get(item.trial.config.arm_key, Need())
        too_small_mb = max(need.too_small_mb, self.gpu_mb / item.share.parts)
        self._keep(item.trial.arm, replace(need, too_small_mb=too_small_mb))
        larger = self.place(replace(item, attempt=result[OUTGREW] + 1, judged=result[JUDGED]))
        say(
            f"{item.key} ran out of memory on {item.share} and runs again on {larger.share} as attempt {larger.attempt}"
        )
        return larger

    def _keep(self, arm: Arm, need: Need) -> None:
        self.needs[arm.config.arm_key] = need
        peak_mb = math.nan if need.peak_mb is None else need.peak_mb
        row = {"arm": arm.name, "peak_mb": peak_mb, "too_small_mb": need.too_small_mb}
        row |= {"overhead_mb": self.overhead_mb, "gpu_mb": self.gpu_mb}
        row |= {"measured": datetime.now(UTC).isoformat(timespec="seconds")}
        self.log.write_arm("memory", arm.config.arm_key, row)

    def count_parts(self, configs: Iterable[TrialConfig]) -> dict[int, int]:
        """How many of these configurations get a GPU with so many parts, the fewest parts first."""
        return dict(sorted(Counter(self.share_of(config).parts for config in configs).items()))


def load_packing(log: RunLog, gpu_mb: float | None = None, overhead_mb: float = 0.0) -> Packing | None:
    """What the run log knows, for GPUs of `gpu_mb`, None: those that were measured on; None where no GPU was ever seen."""
    records = log.read_arms("memory")
    if len(records):
        overhead_mb = max(overhead_mb, float(records["overhead_mb"].max()))
        gpu_mb = gpu_mb or float(records.sort_values("measured")["gpu_mb"].iloc[-1])
    if gpu_mb is None:
        return None
    return Packing(log, gpu_mb, overhead_mb, load_needs(log))


def load_needs(log: RunLog) -> dict[str, Need]:
    """By arm_key, what was measured, else what the arm's finished trials took; and what was too small."""
    needs = peaks_of_trials(log)
    for row in log.read_arms("memory").to_dict("records"):
        of_trials = needs.get(row["arm_key"], Need()).peak_mb
        peak_mb = of_trials if pd.isna(row["peak_mb"]) else float(row["peak_mb"])
        needs[row["arm_key"]] = Need(peak_mb, float(row["too_small_mb"]))
    return needs


def peaks_of_trials(log: RunLog) -> dict[str, Need]:
    """By arm_key, what the finished trials of each arm took at most."""
    trials, manifest = log.trials(), log.read_manifest()
    if "arm_key" not in manifest or not len(trials):
        return {}
    complete = trials[(trials["status"] == "complete") & (trials["provenance"] == "trained")]
    peaks = complete.merge(manifest[["key", "arm_key"]], on="key").groupby("arm_key")[PEAK].max().dropna()
    return {str(arm_key): Need(float(peak) * KEPT_BY_ALLOCATOR) for arm_key, peak in peaks.items()}


def describe_parts(parts: Mapping[int, int], what: str = "arm") -> str:
    """`12 arms on 1/4 of a GPU, 3 on a whole GPU`."""
    first, *others = [(n, str(GpuShare(k))) for k, n in parts.items()]
    named = [f"{first[0]} {what}{'' if first[0] == 1 else 's'} on {first[1]}", *(f"{n} on {on}" for n, on in others)]
    return ", ".join(named)


def packing_tree(log: RunLog, arms: Iterable[TrialConfig]) -> dict[str, Any]:
    """What `--plan --json` says of packing: how many arms get which part of a GPU, and how many have to be measured first."""
    packing, arms = load_packing(log), list(arms)
    measured = [config for config in arms if packing is not None and packing.is_measured(config)]
    return {
        "gpu_mb": None if packing is None else packing.gpu_mb,
        "parts": {} if packing is None else packing.count_parts(measured),
        "n_unmeasured": len(arms) - len(measured),
    }
