import time
from dataclasses import replace

import pytest

from foresight.config import TrialConfig
from foresight.errors import RequestError
from foresight.space import BASELINE, Factor, SearchSpace
from search_spaces import p2_ablations, p2_ablations_factorial

LAYERS = Factor("layers", "fusion.layers", (2, 4))
QUERIES = Factor("queries", "fusion.queries", (32, 64, 128))
# The layers of an encoder that the baseline does not read.
INSTEAD = Factor("VLM layer", "vlm.layer", ("8", "final"), instead={"streams": "vlm"})
OF_DINOV2 = TrialConfig(streams="dinov2")
SMALL = SearchSpace(TrialConfig(), (LAYERS, QUERIES))


def refused(*factors: Factor) -> str:
    with pytest.raises(RequestError) as caught:
        SearchSpace(TrialConfig(), factors).arms()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_at_a_time_has_the_baseline_once_and_every_other_level():
    assert [(arm.name, arm.factor, arm.level) for arm in SMALL.arms()] == [
        (BASELINE, "", ""),
        ("fusion.layers=2", "layers", "2"),
        ("fusion.queries=32", "queries", "32"),
        ("fusion.queries=128", "queries", "128"),
    ]


def test_an_arm_differs_from_the_baseline_in_its_factor_only():
    baseline, *others = p2_ablations.space("tiny").arms()
    fields = {factor.name: factor.field for factor in p2_ablations.FACTORS}
    for arm in others:
        changed = {name for name, value in arm.config.flat().items() if value != baseline.config.flat()[name]}
        assert changed == {fields[arm.factor]}
        assert str(arm.config.flat()[fields[arm.factor]]) == arm.level


def test_factorial_has_every_combination_once_and_the_baseline_first():
    arms = replace(SMALL, design="factorial").arms()
    assert len(arms) == 6
    assert arms[0].name == BASELINE
    assert {(arm.config.fusion.layers, arm.config.fusion.queries) for arm in arms} == {
        (layers, queries) for layers in LAYERS.levels for queries in QUERIES.levels
    }
    both = next(arm for arm in arms if arm.name == "fusion.layers=2,fusion.queries=32")
    assert (both.factor, both.level) == ("layers,queries", "2,32")


def test_a_factorial_holds_every_one_at_a_time_arm_under_the_same_key():
    factorial = {arm.config.arm_key for arm in replace(SMALL, design="factorial").arms()}
    assert {arm.config.arm_key for arm in SMALL.arms()} <= factorial


@pytest.mark.parametrize("scale", ["tiny", "full"])
def test_the_planned_ablation_has_15_arms_and_1296_cells(scale):
    assert len(p2_ablations.space(scale).arms()) == 15
    assert len(p2_ablations_factorial.space(scale).arms()) == 1296


def test_all_arms_of_a_seed_come_before_the_next_seed():
    trials = SMALL.trials(3)
    assert [trial.seed for trial in trials] == [0] * 4 + [1] * 4 + [2] * 4
    names = [arm.name for arm in SMALL.arms()]
    assert [trial.arm.name for trial in trials] == names * 3


def test_seeds_count_from_the_baselines_own():
    space = SearchSpace(TrialConfig(seed=10), (LAYERS,))
    assert [trial.seed for trial in space.trials(2)] == [10, 10, 11, 11]


def test_a_trial_differs_from_its_arm_in_the_seed_only():
    for trial in SMALL.trials(2):
        assert trial.config.arm_key == trial.arm.config.arm_key
        assert trial.config == trial.arm.config.with_fields({"seed": trial.seed})


def test_more_seeds_keep_the_keys_of_the_first():
    assert [t.key for t in SMALL.trials(5)][:8] == [t.key for t in SMALL.trials(2)]


def test_6480_trials_are_planned_within_two_seconds():
    space = p2_ablations_factorial.space("tiny")
    started = time.process_time()  # of this process alone: the machine may be busy
    trials = space.trials(5)
    assert time.process_time() - started < 2
    assert len({trial.key for trial in trials}) == len(trials) == 6480


def test_no_seed_is_refused():
    with pytest.raises(RequestError, match="at least 1 seed, not 0"):
        SMALL.trials(0)


def test_no_factor_is_refused():
    assert "at least one factor" in refused()


def test_a_factor_without_levels_is_refused():
    assert refused(Factor("layers", "fusion.layers", ())) == "factor 'layers' has no levels"


def test_an_unknown_field_is_refused_with_the_nearest_name():
    assert "unknown field 'fusion.layer' (did you mean 'fusion.layers'?)" in refused(
        Factor("l", "fusion.layer", (2, 4))
    )


def test_the_seed_is_no_factor():
    assert "'seed' cannot be a factor" in refused(Factor("seed", "seed", (0, 1)))


def test_a_level_of_the_wrong_type_is_refused_naming_factor_and_level():
    message = refused(Factor("layers", "fusion.layers", (4, "6")))
    assert message.startswith("factor 'layers': ")
    assert "'fusion.layers' cannot be '6'" in message


@pytest.mark.parametrize("design", ["one_at_a_time", "factorial"])
def test_a_level_that_is_impossible_beside_the_baseline_is_refused(design):
    space = SearchSpace(TrialConfig(), (Factor("heads", "fusion.heads", (None, 5)),), design=design)
    with pytest.raises(RequestError, match=r"factor 'heads': impossible combination .* 5 does not divide 32"):
        space.arms()


def test_two_levels_that_are_impossible_together_are_refused():
    ignoring = Factor("strategy", "fusion.strategy", ("cross_attention", "concat"))
    space = SearchSpace(TrialConfig(), (ignoring, Factor("heads", "fusion.heads", (None, 8))))
    assert len(space.arms()) == 3  # each alone is possible
    with pytest.raises(RequestError, match="'concat' does not read 'heads'"):
        replace(space, design="factorial").arms()


def test_two_factors_on_one_field_are_refused():
    assert "'layers' and 'depth' both vary 'fusion.layers'" in refused(LAYERS, Factor("depth", "fusion.layers", (4, 6)))


def test_a_level_that_is_listed_twice_is_refused():
    assert "factor 'layers' lists a level twice" in refused(Factor("layers", "fusion.layers", (4, 2, 4)))


def test_two_levels_that_mean_the_same_trial_are_refused():
    assert "have the same key" in refused(Factor("decay", "train.weight_decay", (0.01, 1, 1.0)))


def test_a_baseline_that_is_not_among_the_levels_is_refused():
    message = refused(Factor("layers", "fusion.layers", (2, 6)))
    assert "the baseline's 'fusion.layers' is 4" in message
    assert "[2, 6]" in message


OWN_RATES = Factor("layers", "fusion.layers", (2, 4), with_level={2: {"train.lr": 1e-3}})


def test_further_fields_go_with_their_level():
    baseline, other = SearchSpace(TrialConfig(), (OWN_RATES,)).arms()
    assert (baseline.config.fusion.layers, baseline.config.train.lr) == (4, TrialConfig().train.lr)
    assert (other.name, other.config.fusion.layers, other.config.train.lr) == ("fusion.layers=2", 2, 1e-3)


def test_further_fields_go_with_their_level_in_every_combination():
    arms = SearchSpace(TrialConfig(), (OWN_RATES, QUERIES), design="factorial").arms()
    assert len(arms) == 6
    assert all((arm.config.train.lr == 1e-3) == (arm.config.fusion.layers == 2) for arm in arms)


def test_a_baseline_without_what_goes_with_its_level_is_refused():
    sentence = refused(Factor("layers", "fusion.layers", (2, 4), with_level={4: {"train.lr": 1e-3}}))
    assert "the baseline is at level 4 of 'layers' without all that goes with it: {'train.lr': 0.001}" in sentence


def test_an_unknown_further_field_is_refused_by_name():
    assert "unknown field 'train.rate'" in refused(
        Factor("layers", "fusion.layers", (2, 4), with_level={2: {"train.rate": 1e-3}})
    )


def test_every_level_of_something_that_the_baseline_does_without_is_an_arm():
    arms = SearchSpace(OF_DINOV2, (Factor("size", "dinov2.size", ("B", "L")), INSTEAD)).arms()
    assert [(arm.name, arm.factor, arm.level) for arm in arms[1:]] == [
        ("dinov2.size=B", "size", "B"),
        ("vlm.layer=8", "VLM layer", "8"),
        ("vlm.layer=final", "VLM layer", "final"),  # the baseline's own value, of a VLM that it does not read
    ]
    assert [arm.config.streams for arm in arms] == ["dinov2", "dinov2", "vlm", "vlm"]


def test_a_level_may_add_to_what_all_levels_set():
    factor = replace(INSTEAD, with_level={"8": {"train.lr": 0.1}})
    _, first, second = SearchSpace(OF_DINOV2, (factor,)).arms()
    assert (first.config.train.lr, second.config.train.lr) == (0.1, OF_DINOV2.train.lr)


@pytest.mark.parametrize(
    ("instead", "said"),
    [
        ({"streams": "both"}, "sets 'streams' to 'both' instead of the baseline's value, which is the same"),
        ({"stream": "vlm"}, "unknown field 'stream'"),
        ({"vlm.layer": "8"}, "sets its own field 'vlm.layer' at every level"),
    ],
)
def test_a_factor_must_set_something_else_than_the_baseline_has(instead, said):
    with pytest.raises(RequestError) as caught:
        SearchSpace(TrialConfig(), (replace(INSTEAD, instead=instead),)).arms()
    assert said in str(caught.value)


def test_what_the_baseline_does_without_is_not_crossed_with_other_factors():
    with pytest.raises(RequestError, match="cannot be crossed with other factors"):
        SearchSpace(OF_DINOV2, (INSTEAD,), design="factorial").arms()
