"""The search between its sampler and what runs its trials, without Ray: what is proposed, told, repeated and resumed."""

import math
from dataclasses import replace

import pytest
from optuna.trial import TrialState
from played_search import SEARCH, SPACE, Played, complete, formula

from foresight.config import TrialConfig
from foresight.dimensions import Choice, IntRange
from foresight.proposal_space import ProposalSpace
from foresight.tuning.search import Asha, Search

SAMPLERS = ("tpe", "nsga2", "random")


def states(proposals) -> list[TrialState]:
    return [trial.state for trial in proposals.study.study.trials]


def test_the_first_proposal_is_the_baseline_and_each_runs_at_every_seed():
    played = Played()
    proposals = played.run(played.open(6))
    assert proposals.is_over
    assert [trial.arm.name for trial in played.manifest[:4]] == ["baseline", "baseline", "p001", "p001"]
    assert [trial.seed for trial in played.manifest[:4]] == [0, 1, 0, 1]
    assert played.manifest[0].config == SPACE.baseline
    assert len(played.ran) == len(set(played.ran)) == 12


def test_the_sampler_sees_the_mean_over_the_seeds():
    played = Played()
    study = played.run(played.open(4)).study.study
    for trial, arm in zip(study.trials, played.proposed(), strict=True):
        config = next(t.config for t in played.manifest if t.config.arm_key == arm)
        assert trial.value == pytest.approx((formula(config.at_seed(0)) + formula(config.at_seed(1))) / 2)


def test_tpe_finds_better_configurations_than_chance_does():
    best = {}
    for sampler in ("tpe", "random"):
        played = Played(search=replace(SEARCH, sampler=sampler, seeds=1))
        played.run(played.open(50))
        best[sampler] = sorted(row["val/mask_iou"] for row in played.rows.values())[-15:]
    assert min(best["tpe"]) > max(0.8, min(best["random"]))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_slot_and_one_seed_give_the_same_proposals_again(sampler):
    runs = [Played(search=replace(SEARCH, sampler=sampler)) for _ in range(2)]
    for played in runs:
        played.run(played.open(20))
    assert runs[0].proposed() == runs[1].proposed()
    other = Played(search=replace(SEARCH, sampler=sampler, seed=1))
    other.run(other.open(20))
    assert other.proposed()[1:] != runs[0].proposed()[1:]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("killed_after", [0, 1, 2, 3, 9, 24])
def test_a_killed_search_goes_on_as_if_it_had_not_been(sampler, killed_after):
    search = replace(SEARCH, sampler=sampler)
    undisturbed, killed = Played(search=search), Played(search=search)
    undisturbed.run(undisturbed.open(20))
    killed.run(killed.open(20), killed_after=killed_after)
    finished = dict(killed.rows)
    killed.run(killed.open(20))
    assert killed.proposed() == undisturbed.proposed()
    assert killed.rows == undisturbed.rows
    twice = {key for key in killed.ran if killed.ran.count(key) > 1}
    assert not twice & set(finished)
    assert len(twice) <= 1  # what ran when it was killed


def test_a_search_killed_again_and_again_with_two_slots_loses_nothing_finished():
    played, proposals = Played(), None
    for _ in range(40):
        before = dict(played.rows)
        proposals = played.run(played.open(15), slots=2, killed_after=1)
        assert before.items() <= played.rows.items()
    assert proposals is not None and proposals.is_over
    assert proposals.next_number == 15
    assert {trial.key for trial in played.manifest} == set(played.rows)


def test_a_search_goes_on_to_more_proposals():
    played, whole = Played(), Played()
    whole.run(whole.open(12))
    played.run(played.open(5))
    assert played.open(5).is_over
    played.run(played.open(12))
    assert played.proposed() == whole.proposed()


def test_a_proposal_that_repeats_another_is_answered_and_not_run():
    few = ProposalSpace(TrialConfig(), (Choice("dinov2.size", ("B", "L")),))
    played = Played(space=few)
    proposals = played.run(played.open(8))
    assert len(played.ran) == 4  # two configurations, two seeds
    assert len(proposals.repeated) == 6
    assert states(proposals) == [TrialState.COMPLETE] * 8
    assert {trial.value for trial in proposals.study.study.trials} == {
        sum(formula(played.manifest[0].config.at_seed(seed)) for seed in (0, 1)) / 2
    }


def test_a_repeat_of_what_still_runs_is_told_when_that_ends():
    few = ProposalSpace(TrialConfig(), (Choice("dinov2.size", ("B", "L")),))
    played = Played(space=few)
    proposals = played.run(played.open(8), slots=20)
    assert len(played.ran) == 4
    assert states(proposals) == [TrialState.COMPLETE] * 8


def test_a_proposal_that_the_config_refuses_is_told_as_a_failure_and_not_run():
    refused = ProposalSpace(TrialConfig(), (Choice("data.augmentation", ("none", "mixup")),))
    played = Played(space=refused)
    proposals = played.run(played.open(6))
    assert played.proposed() == [refused.baseline.arm_key]
    assert proposals.refused and all("views must be at least 2" in why for why in proposals.refused.values())
    assert states(proposals).count(TrialState.FAIL) == len(proposals.refused)
    again = played.run(played.open(6))  # refused proposals leave no trace, and are refused again
    assert again.refused == proposals.refused


@pytest.mark.parametrize("row", [{"status": "failed"}, {"status": "complete", "val/mask_iou": math.nan},
                                 {"status": "complete", "val/mask_iou": None}, {"status": "complete"},
                                 {"status": "complete", "val/mask_iou": math.inf}])  # fmt: skip
def test_failures_and_what_is_no_number_are_told_as_failures(row):
    played = Played(end=lambda trial: row if trial.arm.name == "p002" else complete(trial))
    proposals = played.run(played.open(6))
    assert states(proposals) == [TrialState.COMPLETE] * 2 + [TrialState.FAIL] + [TrialState.COMPLETE] * 3


def test_a_proposal_that_failed_at_its_first_seed_does_not_run_at_the_others():
    played = Played(end=lambda trial: {"status": "failed"} if trial.arm.name == "p002" else complete(trial))
    played.run(played.open(6))
    assert sum(trial.arm.name == "p002" for trial in played.manifest) == 1


def test_a_failed_trial_that_is_run_again_is_told_by_its_new_row():
    played = Played(end=lambda trial: {"status": "failed"} if trial.arm.name == "p002" else complete(trial))
    played.run(played.open(4))
    played.end = complete
    failed = {key: played.rows.pop(key) for key in list(played.rows) if played.rows[key]["status"] == "failed"}
    proposals = played.run(played.open(4))
    assert states(proposals) == [TrialState.COMPLETE] * 4
    assert failed.keys() <= played.rows.keys()


def stop_after_epoch_2(trial):
    stopped = {"status": "stopped", "train/epochs_run": 2, "val/mask_iou": 0.1}
    return stopped if trial.arm.name in ("p001", "p003") else complete(trial)


def test_with_asha_the_first_seed_alone_is_raced_and_a_stopped_one_is_pruned():
    raced = replace(SEARCH, asha=Asha(2))
    played = Played(search=raced, end=stop_after_epoch_2)
    proposals = played.run(played.open(5), slots=4)
    seeds = {
        arm: sum(trial.arm.name == arm for trial in played.manifest) for arm in ("baseline", "p001", "p002", "p003")
    }
    assert seeds == {"baseline": 2, "p001": 1, "p002": 2, "p003": 1}
    pruned = proposals.study.study.trials[1]
    assert (pruned.state, pruned.intermediate_values) == (TrialState.PRUNED, {2: 0.1})
    again = played.open(5)
    assert again.is_over
    assert states(again) == states(proposals)


def test_several_objectives_are_told_in_their_order():
    goals = replace(SEARCH, objectives=("mask_iou", "params_trained"), sampler="nsga2")
    played = Played(search=goals)
    study = played.run(played.open(20)).study.study
    for trial in study.trials:
        assert trial.values[1] == 1000 * trial.params["fusion.layers"]
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]


def test_a_budget_ends_with_whole_blocks():
    played = Played()
    proposals = played.run(played.open(10, may_propose=lambda n: len(played.ran) < 5))
    assert proposals.is_over and proposals.stopped_early
    assert len(played.ran) == 6  # three proposals: the third had begun
    assert {block.outcome.state for block in proposals.blocks.values()} == {"complete"}
    played.run(played.open(10))
    assert len(played.proposed()) == 10


def test_a_finished_search_runs_nothing_when_it_is_given_again():
    """A space of three: most proposals repeat another, and asked again later they might be new ones."""
    for seed in range(6):
        space = ProposalSpace(TrialConfig(), (IntRange("fusion.layers", 1, 5),))
        played = Played(space=space, search=replace(SEARCH, space=lambda scale, space=space: space, seed=seed, seeds=1))
        first = played.run(played.open(6), slots=3)
        n_ran = len(played.ran)
        again = played.open(6, without_trials=sorted(first.without_trials))
        assert again.next_number == 6
        assert again.n_left == 0
        played.run(again, slots=3)
        assert len(played.ran) == n_ran


def test_a_limit_is_of_trials():
    played = Played()
    proposals = played.run(played.open(10, most_trials=3))
    assert (len(played.ran), proposals.is_over, proposals.n_left) == (3, True, 0)
    played.run(played.open(10))
    assert len(played.ran) == 20


def test_a_limit_that_is_never_reached_is_not_said_to_have_ended_the_search():
    played = Played()
    proposals = played.run(played.open(3, most_trials=6))
    assert (len(played.ran), proposals.is_over, proposals.stopped_early) == (6, True, False)


def test_a_search_that_its_budget_has_ended_makes_no_further_proposal():
    asked = iter([True, True, False] + [True] * 100)  # the pace may look better a moment later
    played = Played()
    proposals = played.run(played.open(10, may_propose=lambda n: next(asked)), slots=2)
    assert proposals.stopped_early
    assert (proposals.next_number, len(played.proposed())) == (2, 2)


def test_what_is_left_is_counted_down_to_nothing():
    played = Played()
    proposals = played.open(5)
    assert proposals.n_left == 10
    played.run(proposals)
    assert proposals.n_left == 0


def test_no_test_metric_can_be_an_objective():
    from foresight.errors import RequestError

    with pytest.raises(
        RequestError, match="no objective 'lpips', which task 'reconstruction' does not measure on validation"
    ):
        Search("x", "?", lambda scale: SPACE, SEARCH.claim, objectives=("lpips",)).check(SPACE)
