"""What Tune is given for a search: the searcher that hands out proposals, and the scheduler that stops some of them."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
from ray.tune.search import Searcher

from foresight.runlog import RunLog
from foresight.space import Trial
from foresight.tuning.first_come import FirstComeAsha
from foresight.tuning.out_of_memory import OUTGREW
from foresight.tuning.packing import Packing
from foresight.tuning.proposals import Proposals
from foresight.tuning.record import Planned, has_its_row
from foresight.tuning.recorder import is_stopped
from foresight.tuning.search import Asha, Objective
from foresight.tuning.ticket import tune_config
from foresight.tuning.trainable import RACED


class ProposalSearcher(Searcher):
    """Hands out the trials of a search, and brings their rows back to it. `ended` is called after each with what is left.

    With `packing` each gets a share of a GPU, and one that was too small for it comes again, at once.
    """

    def __init__(
        self,
        proposals: Proposals,
        log: RunLog,
        planned: Callable[[Trial], Planned],
        ended: Callable[[int], None],
        packing: Packing | None = None,
        say: Callable[[str], None] = lambda sentence: None,
    ):
        super().__init__()
        self.proposals, self.log, self.planned, self.ended = proposals, log, planned, ended
        self.packing, self.say = packing, say
        self.live: dict[str, Planned] = {}
        self.again: deque[Planned] = deque()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher into snapshots that are never read back."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        item = self.again.popleft() if self.again else self._next()
        if item is None:
            return Searcher.FINISHED if self.proposals.is_over else None
        if self.packing is not None:
            item = self.packing.place(item)
        self.live[trial_id] = item
        return tune_config(item)

    def _next(self) -> Planned | None:
        trial = self.proposals.next()
        return None if trial is None else self.planned(trial)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        # Tune calls again after an error in here, such as a storage that did not answer: until then it lives.
        item = self.live[trial_id]
        self._end(item, result, error)
        del self.live[trial_id]

    def _end(self, item: Planned, result: dict[str, Any] | None, error: bool) -> None:
        if self.packing is not None and result is not None and OUTGREW in result:
            self.again.append(self.packing.enlarge(item, result, self.say))
            return
        if error and not has_its_row(self.log, item):
            row: Mapping[str, Any] = {"status": "failed"}  # the recorder is about to write it
        elif is_stopped(item, result):
            assert result is not None  # as the recorder will write it, too
            row = {"status": "stopped", "train/epochs_run": result["epoch"], item.raced: result["row/" + item.raced]}
        else:
            row = self.log.read_trial(item.key)
        self.proposals.end(item.key, row)
        self.ended(self.proposals.n_left)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the run log is the truth, and a search is resumed from it."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""


def build_scheduler(asha: Asha, objective: Objective, epochs: int, before: Iterable[pd.DataFrame]) -> FirstComeAsha:
    """Tune's ASHA over our own epochs, which knows the learning curves `before` of the trials on record.

    Nothing is stopped at its last epoch, of which the trials report nothing: what is left there is to measure it.
    """
    rungs = list(asha.rungs(epochs))
    scheduler = FirstComeAsha(
        time_attr="epoch",
        metric=RACED,
        mode="max" if objective.higher else "min",
        grace_period=rungs[0],
        max_t=epochs,
        reduction_factor=asha.reduction,
        stop_last_trials=False,
    )
    for number, curve in enumerate(before):
        # All that it reads of a trial is its name, and of the controller nothing.
        trial = cast(Any, SimpleNamespace(trial_id=f"before-{number}"))
        scheduler.on_trial_add(cast(Any, None), trial)
        for epoch, value in zip(curve["epoch"], curve[objective.column], strict=True):
            if epoch < epochs:
                scheduler.on_trial_result(cast(Any, None), trial, {"epoch": int(epoch), RACED: float(value)})
    return scheduler
