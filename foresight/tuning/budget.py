"""Budget: what a study may take, declared with it or given by flags, and what its run logs say that it has taken."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from foresight.errors import RequestError
from foresight.price import SECONDS_PER_HOUR, Money, Price, read_money, read_price
from foresight.runlog import RunLog
from foresight.side_costs import read_side_costs, sum_held


@dataclass(frozen=True)
class Budget:
    """Limits, each None where there is none.

    `hours` is the time of one command, from its start. `gpu_hours` and `money` are of every trial in the run logs of the
    study and of those it needs, whichever command ran it: a job that is submitted again does not begin to count again.
    """

    hours: float | None = None
    gpu_hours: float | None = None
    money: Money | None = None
    price: Price | None = None  # of a GPU-hour

    @property
    def is_limited(self) -> bool:
        return any(limit is not None for limit in (self.hours, self.gpu_hours, self.money))

    def check(self) -> None:
        """Raises RequestError for a limit that is none, and for money that cannot be counted."""
        money = None if self.money is None else self.money.amount
        for name, limit in (("hours", self.hours), ("GPU-hours", self.gpu_hours), ("money", money)):
            if limit is not None and not 0 < limit < math.inf:
                raise RequestError(f"a budget of {limit:g} {name} is none; give a number above 0")
        if self.money is None:
            return
        if self.price is None:
            raise RequestError(
                f"a budget of {self.money.amount:g} {self.money.currency} needs the price of a GPU-hour: --price '2.10 "
                f"{self.money.currency}'"
            )
        if self.price.currency != self.money.currency or not self.price.per_gpu_hour > 0:
            raise RequestError(
                f"a budget of {self.money.amount:g} {self.money.currency} cannot be counted at {self.price.per_gpu_hour:g} "
                f"{self.price.currency} per GPU-hour; state a price above 0 in the same currency"
            )


NO_LIMIT = Budget()


def choose_budget(
    declared: Budget | None, hours: float | None, gpu_hours: float | None, money: str | None, price: str | None
) -> Budget:
    """The declared budget, with every limit replaced that a flag gives. Raises RequestError for one that makes no sense."""
    declared = declared or Budget()
    chosen = Budget(
        declared.hours if hours is None else hours,
        declared.gpu_hours if gpu_hours is None else gpu_hours,
        declared.money if money is None else read_money(money),
        declared.price if price is None else read_price(price),
    )
    chosen.check()
    return chosen


def count_gpu_s(logs: Iterable[RunLog]) -> float:
    """GPU-seconds that the trials of these run logs have held, the whole of each trial; on CPUs the seconds of their slots.

    A trial that shared a GPU has held its share of it.

    A failed or stopped trial counts as well. One that recorded no time, as its process died, and every earlier attempt that a
    later one has replaced count as much as a trial of their arm did, less what that one has gone on from, which is in its own
    time; one that was taken over from another study counts there.
    What these studies' commands took besides trials counts as well: features, and where they were finished the sensitivity
    check, measuring latency and an arm's need of memory. `sweeps/warm_cache.py`, which works for no study of its own, and the
    probe of a plan are in no run log.
    """
    return sum(_count(log.trials()) + _count_besides(log) for log in logs)


def _count_besides(log: RunLog) -> float:
    held = sum_held(read_side_costs(log).values())
    return held.gpu_s + held.cpu_s


def recorded_seconds(trials: pd.DataFrame) -> pd.Series:
    """Seconds that each recorded trial took; where it recorded none, as those of its arm did, or all of them."""
    seconds = trials["cost/trial_s"].fillna(trials["cost/train_s"]).astype(float)
    of_arm = seconds.groupby(trials["arm"]).transform("mean")
    return seconds.fillna(of_arm).fillna(seconds.mean()).fillna(0.0)


def gpu_shares(trials: pd.DataFrame) -> pd.Series:
    """The part of a GPU, or of a slot, that each recorded trial had of it."""
    if "env/gpu_share" not in trials:
        return pd.Series(1.0, index=trials.index)
    return trials["env/gpu_share"].astype(float).fillna(1.0)


def held_seconds(trials: pd.DataFrame) -> pd.Series:
    """As `recorded_seconds`, of a whole slot: one that shared a GPU held it for its share of the time."""
    return recorded_seconds(trials) * gpu_shares(trials)


def _count(trials: pd.DataFrame) -> float:
    trials = trials[trials["provenance"] == "trained"]
    if "env/adopted_from" in trials:  # the study that ran it has paid for it
        trials = trials[trials["env/adopted_from"].isna()]
    seconds = recorded_seconds(trials)
    earlier = seconds.groupby(trials["arm"]).transform("mean") * (trials["attempt"] - 1)
    if "env/resumed_s" in trials:  # what it went on from is in its own time
        earlier = (earlier - trials["env/resumed_s"].astype(float).fillna(0.0)).clip(lower=0.0)
    return float(((seconds + earlier) * _held_gpus(trials, seconds)).sum())


def _held_gpus(trials: pd.DataFrame, seconds: pd.Series) -> pd.Series:
    """GPUs that each trial held, or one slot on CPUs; where it does not say, as many as those of its arm did, or all."""
    # Training held its GPUs for cost/gpu_s of cost/train_s seconds; what trains nothing, for the whole trial.
    trained_s = trials["cost/train_s"].astype(float)
    held = trials["cost/gpu_s"].astype(float) / trained_s.mask(trained_s == 0, seconds)
    held = held.mask(held == 0, 1.0).fillna(_workers_gpus(trials))
    of_arm = held.groupby(trials["arm"]).transform("mean")
    return held.fillna(of_arm).fillna(held.mean()).fillna(1.0)


def _workers_gpus(trials: pd.DataFrame) -> pd.Series:
    """What rows without a time on GPUs say of it: a share of one, or how many processes on which device."""
    said = pd.Series(float("nan"), index=trials.index)
    if "env/device" in trials and "env/workers" in trials:
        device = trials["env/device"]
        said = trials["env/workers"].astype(float).where(device != "cpu", 1.0).where(device.notna())
    return trials["env/gpu_share"].astype(float).fillna(said) if "env/gpu_share" in trials else said


def hours_of(seconds: float) -> float:
    return seconds / SECONDS_PER_HOUR
