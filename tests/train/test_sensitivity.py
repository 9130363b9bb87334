import math

import pytest
import torch
from small_trials import fill, small, small_adapter

from foresight.config import TrialConfig
from foresight.data.augment import AUGMENTATIONS
from foresight.features.store import ArrayStore
from foresight.models.adapters import ADAPTERS, QueryAdapter
from foresight.models.fusion import FUSIONS, CrossAttentionFusion
from foresight.train import sensitivity
from foresight.train.sensitivity import InertFactorError, check_sensitivity, probe_config
from foresight.train.task import Context
from search_spaces import c2_architectures, p2_ablations

CONTEXT = Context("cpu")


class DeafFusion(CrossAttentionFusion):
    """Reads every field but the stream weight."""

    def __init__(self, config, streams):
        super().__init__(config.model_copy(update={"vlm_weight": 0.5}), streams)


class WastefulFusion(CrossAttentionFusion):
    """Holds a parameter that it never uses."""

    def __init__(self, config, streams):
        super().__init__(config, streams)
        self.spare = torch.nn.Linear(2, 2)


class WastefulAdapter(QueryAdapter):
    """Declares a projection that it never uses, as the original LoRA did."""

    def __init__(self, config, size, shapes):
        super().__init__(config, size, shapes)
        self.spare = torch.nn.Linear(2, 2)


@pytest.fixture(scope="module")
def ablation(tmp_path_factory) -> tuple[dict[str, TrialConfig], ArrayStore]:
    """The arms of E-P2.5 at tiny scale on a handful of small pictures, and a store that holds them."""
    arms = {
        arm.name: probe_config(arm.config).with_fields({"data.image_px": 56})
        for arm in p2_ablations.space("tiny").arms()
    }
    return arms, fill(ArrayStore(tmp_path_factory.mktemp("ablation")), *arms.values())


def test_every_arm_of_the_ablation_moves_the_output(ablation):
    arms, store = ablation
    changes = check_sensitivity(arms, store, CONTEXT)
    assert list(changes) == list(arms)[1:]
    assert len(changes) == 14
    assert all(0.01 < change <= 1 for change in changes.values())


@pytest.fixture(scope="module")
def architectures(tmp_path_factory) -> tuple[dict[str, TrialConfig], ArrayStore]:
    """The arms of E2.2 at tiny scale on a handful of small pictures, and a store that holds them."""
    arms = {
        arm.name: probe_config(arm.config).with_fields({"data.image_px": 56})
        for arm in c2_architectures.space("tiny").arms()
    }
    return arms, fill(ArrayStore(tmp_path_factory.mktemp("architectures")), *arms.values())


def test_every_adapter_moves_the_output_and_all_its_parameters_are_reached(architectures):
    arms, store = architectures
    changes = check_sensitivity(arms, store, CONTEXT)
    assert len(changes) == 4
    assert all(0.01 < change <= 1 for change in changes.values())


def test_an_unused_parameter_of_an_adapter_is_refused_by_name(store, monkeypatch):
    monkeypatch.setitem(ADAPTERS, "query", WastefulAdapter)
    arms = {"baseline": small_adapter(adapter__budget_params=20_001)}
    with pytest.raises(InertFactorError, match=r"arm 'baseline': no gradient reaches adapter\.body\.spare\.weight"):
        check_sensitivity(arms, store, CONTEXT)


def test_a_probe_is_a_handful_of_images_and_keeps_what_is_smaller():
    config = p2_ablations.baseline("full")
    probe = probe_config(config)
    assert (probe.data.n_train, probe.data.n_val, probe.data.n_test) == (8, 2, 2)
    assert probe.fusion == config.fusion
    assert probe.train.lr == config.train.lr
    assert probe_config(small(data__n_train=3)).data.n_train == 3


def test_an_arm_that_a_fusion_ignores_is_refused_by_name(store, monkeypatch):
    monkeypatch.setitem(FUSIONS, "cross_attention", DeafFusion)
    arms = {
        "baseline": small(), "fusion.layers=2": small(fusion__layers=2), "weight=0.3": small(fusion__vlm_weight=0.3),
    }  # fmt: skip
    with pytest.raises(InertFactorError, match=r"^weight=0\.3 gives the baseline's output"):
        check_sensitivity(arms, store, CONTEXT)


def test_an_unused_parameter_is_refused_by_arm_and_name(store, monkeypatch):
    monkeypatch.setitem(FUSIONS, "concat", WastefulFusion)
    arms = {"baseline": small(), "other": small(fusion__strategy="concat")}
    with pytest.raises(InertFactorError, match=r"arm 'other': no gradient reaches fusion\.spare\.weight"):
        check_sensitivity(arms, store, CONTEXT)


def test_the_same_config_twice_is_no_change(store):
    # Not by rounding either: a change this small is never the factor's doing.
    first, second = (sensitivity._output("arm", small(), store, CONTEXT) for _ in range(2))
    assert torch.equal(first, second)


def test_a_picture_of_another_size_is_infinitely_far(store, tmp_path):
    arms = {"baseline": small(), "larger": small(data__target_px=64)}
    changes = check_sensitivity(arms, fill(ArrayStore(tmp_path), *arms.values()), CONTEXT)
    assert changes == {"larger": math.inf}


def test_a_training_factor_moves_the_output(store):
    arms = {"baseline": small(), "lr": small(train__lr=1e-3), "mask": small(loss__mask_weight=1.0)}
    assert all(change > 1e-3 for change in check_sensitivity(arms, store, CONTEXT).values())


def test_every_augmentation_moves_the_output(store):
    arms = {"baseline": small()} | {
        name: small(data__augmentation=name, data__views=2) for name in AUGMENTATIONS
    }  # fmt: skip
    fill(store, *arms.values())
    changes = check_sensitivity(arms, store, CONTEXT)
    assert set(changes) == set(AUGMENTATIONS)
    assert all(1e-3 < change <= 1 for change in changes.values())


def test_an_arm_that_diverges_is_infinitely_far_and_stops_no_other(store):
    arms = {"baseline": small(), "rate": small(train__lr=1e30), "lr": small(train__lr=1e-3)}
    changes = check_sensitivity(arms, store, CONTEXT)
    assert changes["rate"] == math.inf
    assert 0 < changes["lr"] < 1


def test_an_arm_that_differs_beyond_the_probe_only_is_left_out(store):
    # More images, or a larger batch, is no change on a handful of images: that says nothing about the trial.
    arms = {
        "baseline": small(data__n_train=16, train__batch_size=8),
        "more images": small(data__n_train=32, train__batch_size=8),
        "larger batch": small(data__n_train=16, train__batch_size=16),
        "small batch": small(data__n_train=16, train__batch_size=2),
    }
    probes = {name: probe_config(config) for name, config in arms.items()}
    fill(store, *probes.values())
    changes = check_sensitivity(probes, store, CONTEXT)
    assert list(changes) == ["small batch"]
    assert changes["small batch"] > 0
