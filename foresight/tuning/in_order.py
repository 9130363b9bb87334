"""What Tune is given for a declared design: the planned trials, one after the other."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ray.tune.search import Searcher

from foresight.tuning.out_of_memory import OUTGREW
from foresight.tuning.packing import Packing
from foresight.tuning.record import Planned
from foresight.tuning.ticket import tune_config


class InOrder(Searcher):
    """Hands out planned trials in the order they are given. A grid would copy the whole list for every trial.

    With `packing` each gets its share of a GPU as it is handed out, and one that was too small for it comes again, at once.
    """

    def __init__(
        self,
        planned: Iterable[Planned],
        packing: Packing | None = None,
        say: Callable[[str], None] = lambda sentence: None,
    ):
        super().__init__()
        self.waiting, self.packing, self.say = iter(planned), packing, say
        self.live: dict[str, Planned] = {}  # of packed trials
        self.again: deque[Planned] = deque()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher into snapshots that are never read back."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        item = self.again.popleft() if self.again else next(self.waiting, None)
        if item is None:  # while any runs on a share that may be too small, nothing is finished
            return None if self.live else Searcher.FINISHED
        if self.packing is not None:
            item = self.live[trial_id] = self.packing.place(item)
        return tune_config(item)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The order depends on nothing that came out but this."""
        if self.packing is not None:
            if result is not None and OUTGREW in result:
                self.again.append(self.packing.enlarge(self.live[trial_id], result, self.say))
            del self.live[trial_id]  # last: Tune calls again after an error in here

    def save(self, checkpoint_path: str) -> None:
        """Nothing: Tune's snapshot is never read back."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""
