"""What the workers of a trial decide, they decide together."""

from dataclasses import dataclass, field

import pytest

from foresight.runlog import RunLog
from foresight.space import Arm, Trial
from foresight.tuning.record import Planned
from foresight.tuning.scratch import TrialScratch
from foresight.tuning.worker_part import all_are_over
from search_spaces.p2_ablations import space


@dataclass
class Rank:
    """One of two processes; `told` are the numbers that the first sends, as `torch.distributed` would bring them."""

    is_first: bool
    told: list[float] = field(default_factory=list)

    def from_first(self, values: list[float]) -> list[float]:
        if self.is_first:
            self.told[:] = values
        return list(self.told)


@pytest.mark.parametrize("what", ["told to end", "recorded", "neither"])
def test_what_happens_between_two_looks_parts_no_worker_from_the_others(tmp_path, what):
    config = space("tiny").baseline
    log, planned = RunLog(tmp_path / "s"), Planned(Trial(Arm("baseline", "", "", config), config), "s", 1)
    scratch, told = TrialScratch(log, planned.key), list[float]()
    first = all_are_over(log, planned, scratch, Rank(True, told))
    if what == "told to end":
        scratch.tell_to_end()
    elif what == "recorded":
        log.write_trial(planned.identity() | {"status": "stopped"})
    assert all_are_over(log, planned, scratch, Rank(False, told)) is first is False
    assert all_are_over(log, planned, scratch, Rank(True, told)) is (what != "neither")
    assert all_are_over(log, planned, scratch, Rank(False, told)) is (what != "neither")
