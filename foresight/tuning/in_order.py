"""What Tune is given for a declared design: the planned trials, one after the other."""

from collections.abc import Iterable
from typing import Any

from ray.tune.search import Searcher

from foresight.tuning.record import Planned
from foresight.tuning.ticket import tune_config


class InOrder(Searcher):
    """Hands out planned trials in the order they are given. A grid would copy the whole list for every trial."""

    def __init__(self, planned: Iterable[Planned]):
        super().__init__()
        self.waiting = iter(planned)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher into snapshots that are never read back."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        item = next(self.waiting, None)
        return Searcher.FINISHED if item is None else tune_config(item)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: the order does not depend on what came out."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: Tune's snapshot is never read back."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""
