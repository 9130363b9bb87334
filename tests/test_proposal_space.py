"""What a search may propose: conditions, limits, and configurations that lie in the space or not."""

import pytest

from foresight.config import TrialConfig
from foresight.dimensions import Choice, FloatRange, IntRange
from foresight.errors import RequestError
from foresight.proposal_space import ProposalSpace

STRATEGY = Choice("fusion.strategy", ("cross_attention", "concat"))
HEADS = Choice("fusion.heads", (None, 8), when={"fusion.strategy": ("cross_attention",)})
LAYERS = IntRange("fusion.layers", 2, 8, step=2)
RATE = FloatRange("train.lr", 1e-4, 1e-2, log=True)
AUGMENTATION = Choice("data.augmentation", ("none", "mixup"))
VIEWS = IntRange("data.views", 2, 4, when={"data.augmentation": ("mixup",)})


def space(*dimensions, baseline: TrialConfig | None = None) -> ProposalSpace:
    return ProposalSpace(baseline or TrialConfig(), dimensions or (STRATEGY, HEADS, LAYERS, RATE, AUGMENTATION, VIEWS))


def test_a_space_as_it_should_be_is_accepted():
    space().check()


@pytest.mark.parametrize(
    ("dimensions", "sentence"),
    [
        ((), "at least one dimension"),
        ((IntRange("fusion.layer", 1, 2),), "unknown field 'fusion.layer' (did you mean 'fusion.layers'?)"),
        ((IntRange("seed", 0, 9),), "every proposal is run at the same seeds"),
        ((LAYERS, IntRange("fusion.layers", 1, 3)), "'fusion.layers' is declared as a dimension twice"),
        ((Choice("dinov2.size", ("L",)),), "needs 2 different values or more"),
        ((Choice("dinov2.size", ("L", "L")),), "needs 2 different values or more"),
        ((Choice("dinov2.size", ("L", "XL")),), "'dinov2.size' cannot be 'XL' (str)"),
        ((IntRange("fusion.layers", 0, 4),), "'fusion.layers' cannot be 0 (int)"),
        ((FloatRange("fusion.vlm_weight", 0.5, 1.0),), "'fusion.vlm_weight' cannot be 1.0 (float)"),
        ((FloatRange("fusion.layers", 1.0, 4.0),), "'fusion.layers' cannot be 1.0 (float)"),
        ((IntRange("fusion.layers", 4, 4),), "goes from low to high, got 4 and 4"),
        ((FloatRange("train.lr", 1e-4, float("inf")),), "goes from low to high"),
        ((FloatRange("train.weight_decay", 0.0, 0.1, log=True),), "its low must be above 0"),
        ((IntRange("fusion.layers", 1, 8, step=2),), "8 is no whole number of steps of 2 above 1"),
        ((FloatRange("fusion.dropout", 0.0, 0.25, step=0.1),), "0.25 is no whole number of steps of 0.1"),
        ((IntRange("fusion.layers", 2, 8, step=2, log=True),), "has steps or is logarithmic, not both"),
        ((FloatRange("fusion.dropout", 0.0, 0.2, step=-0.1),), "needs a step above 0"),
        ((STRATEGY, Choice("fusion.heads", (None, 8), when={"fusion.strateg": ("concat",)})),
         "depends on 'fusion.strateg', which is no dimension (did you mean 'fusion.strategy'?)"),
        ((STRATEGY, Choice("fusion.heads", (None, 8), when={"fusion.strategy": ("film",)})),
         "depends on 'fusion.strategy' being ['film'], and that is one of ['cross_attention', 'concat']"),
        ((LAYERS, Choice("fusion.heads", (None, 8), when={"fusion.layers": (2,)})), "a range; it needs listed values"),
        ((RATE, IntRange("fusion.queries", 65, 128)), "it lies outside the space: 'fusion.queries' is 64"),
    ],
)  # fmt: skip
def test_a_wrong_space_is_refused_in_one_sentence(dimensions, sentence):
    with pytest.raises(RequestError) as refused:
        ProposalSpace(TrialConfig(), dimensions).check()
    assert sentence in str(refused.value)


def test_conditions_that_go_in_a_circle_are_refused():
    one = Choice("fusion.strategy", ("cross_attention", "film"), when={"dinov2.size": ("L",)})
    other = Choice("dinov2.size", ("B", "L"), when={"fusion.strategy": ("film",)})
    with pytest.raises(RequestError, match=r"go in a circle: .*fusion\.strategy"):
        space(one, other).check()


def test_what_no_condition_asks_for_has_the_configs_default():
    with_heads = TrialConfig().with_fields({"fusion.heads": 8})
    config = space(STRATEGY, HEADS, baseline=with_heads).config({"fusion.strategy": "concat"})
    assert (config.fusion.strategy, config.fusion.heads) == ("concat", None)


def test_a_combination_that_the_config_refuses_is_its_sentence():
    with pytest.raises(RequestError, match="views must be at least 2"):
        space(AUGMENTATION).config({"data.augmentation": "mixup"})


def test_params_and_config_are_each_others_inverse():
    for params in (
        {"fusion.strategy": "concat", "fusion.layers": 6, "train.lr": 0.001, "data.augmentation": "none"},
        {"fusion.strategy": "cross_attention", "fusion.heads": 8, "fusion.layers": 2, "train.lr": 1e-4,
         "data.augmentation": "mixup", "data.views": 3},
    ):  # fmt: skip
        config = space().config(params)
        assert space().why_outside(config.at_seed(7)) == ""
        assert space().params(config) == params


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"fusion.layers": 3}, "'fusion.layers' is 3"),
        ({"train.lr": 0.5}, "'train.lr' is 0.5"),
        ({"train.epochs": 3}, "'train.epochs' is 3 and not 10"),
        ({"fusion.strategy": "film"}, "'fusion.strategy' is 'film'"),
    ],
)
def test_a_configuration_outside_says_why(changes, why):
    assert space().why_outside(TrialConfig().with_fields(changes)) == why


def test_a_value_where_it_is_not_proposed_is_outside():
    own = Choice("fusion.dropout", (0.0, 0.1), when={"fusion.strategy": ("concat",)})
    config = TrialConfig().with_fields({"fusion.dropout": 0.1})
    assert space(STRATEGY, own).why_outside(config) == "'fusion.dropout' is 0.1 where the search does not propose it"


def test_each_dimension_has_a_neighbour_of_the_baseline_as_far_as_it_goes():
    found = {field: config.flat()[field] for field, config in space().neighbours()}
    assert found == {
        "fusion.strategy": "concat", "fusion.heads": 8, "fusion.layers": 8, "train.lr": 1e-2, "data.augmentation": "mixup",
        "data.views": 4,
    }  # fmt: skip


def test_combinations_are_those_of_the_named_parts_alone():
    found = {(c.data.augmentation, c.data.views, c.dinov2.size) for c in space(
        AUGMENTATION, VIEWS, LAYERS, Choice("dinov2.size", ("B", "L"))
    ).combinations("data", "dinov2")}  # fmt: skip
    assert found == {(a, v, s) for a, v in (("none", 1), ("mixup", 2), ("mixup", 3), ("mixup", 4)) for s in "BL"}
