"""Trials that were given out and have no row when a search is taken up again: each gets one, whatever became of its proposal."""

from dataclasses import replace

from played_search import SPACE, Played, complete

from foresight.dimensions import FloatRange
from foresight.proposal_space import ProposalSpace

NARROW = replace(
    SPACE, dimensions=(*SPACE.dimensions[:3], FloatRange("train.lr", 2.9e-3, 3.1e-3, log=True))
)  # hardly more than the baseline's rate


def unrecorded(played: Played) -> list[str]:
    return [trial.key for trial in played.manifest if trial.key not in played.rows]


def test_a_seed_that_ran_when_another_failed_is_run_again_after_a_kill():
    played = Played(end=lambda trial: {"status": "failed"} if trial.seed == 0 else complete(trial))
    proposals = played.open(3)
    first, second = proposals.next(), proposals.next()
    played.rows[first.key] = played.end(first)
    proposals.end(first.key, played.rows[first.key])  # and here the driver is killed
    assert unrecorded(played) == [second.key]
    proposals = played.open(3)
    assert proposals.n_left == 1 + 2 * 2
    played.run(proposals)
    assert unrecorded(played) == []
    assert proposals.n_left == 0 and not proposals.owed
    assert played.ran.count(second.key) == 1


def test_a_seed_that_runs_when_another_fails_is_counted_until_it_ends():
    played = Played(end=lambda trial: {"status": "failed"} if trial.seed == 0 else complete(trial))
    proposals = played.open(1)
    first, second = proposals.next(), proposals.next()
    proposals.end(first.key, {"status": "failed"})
    assert (proposals.n_left, proposals.is_over) == (1, False)
    proposals.end(second.key, complete(second))
    assert (proposals.n_left, proposals.is_over) == (0, True)


def test_a_trial_outside_a_narrowed_space_that_had_begun_ends_first_and_its_other_seeds_do_not_run():
    played = Played()
    played.run(played.open(6), killed_after=4)
    begun = unrecorded(played)
    assert len(begun) == 1
    arm = next(trial.arm.name for trial in played.manifest if trial.key == begun[0])
    played.space = NARROW
    proposals = played.run(played.open(6))
    assert played.outside and int(arm[1:]) in played.outside
    assert unrecorded(played) == []
    assert sum(trial.arm.name == arm for trial in played.manifest) == 1
    assert (proposals.is_over, proposals.n_left) == (True, 0)
    assert played.open(6).is_over


def test_a_space_that_was_narrowed_keeps_the_numbers_and_tells_the_rest():
    played = Played()
    played.run(played.open(12))
    proposed = [trial.arm.name for trial in played.manifest]
    narrow = ProposalSpace(SPACE.baseline, tuple(d for d in SPACE.dimensions if d.field != "train.lr"))
    played.space = narrow
    proposals = played.open(14)
    assert len(proposals.study.study.trials) < 12
    before = len(played.proposed())
    played.run(proposals)
    assert proposals.next_number == 14
    new = {trial.arm.name for trial in played.manifest} - set(proposed)
    assert new and new <= {"p012", "p013"}
    assert len(played.proposed()) == before + len(new)
