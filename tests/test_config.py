import json
import subprocess
import sys

import pytest
from every_field import OTHER_VALUES, REPOSITORY, refused, start
from pydantic import ValidationError

from foresight.config import (
    Part,
    TrialConfig,
    field_names,
)


@pytest.mark.parametrize("field", field_names())
def test_every_field_changes_the_key(field):
    changed = start(field).with_fields({field: OTHER_VALUES[field]})
    assert changed.flat()[field] == OTHER_VALUES[field]
    assert changed.key != start(field).key
    assert (changed.arm_key != start(field).arm_key) == (field != "seed")


def test_all_single_changes_have_keys_of_their_own():
    keys = {start(field).with_fields({field: value}).key for field, value in OTHER_VALUES.items()}
    assert len(keys) == len(OTHER_VALUES)


def test_values_of_equal_text_but_another_type_have_other_keys():
    layer = TrialConfig().with_fields({"vlm.layer": "8"})
    assert layer.key != TrialConfig().with_fields({"fusion.layers": 8}).key


def test_the_key_is_the_same_in_another_process():
    code = "from foresight.config import TrialConfig; print(TrialConfig(seed=3).with_fields({'train.lr': 1e-4}).key)"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        env={"PYTHONHASHSEED": "7"},
    )
    assert shown.stdout.strip() == TrialConfig(seed=3).with_fields({"train.lr": 1e-4}).key


def test_the_key_starts_with_a_label_people_can_read():
    config = TrialConfig(seed=3).with_fields({"fusion.strategy": "perceiver"})
    assert config.key.startswith("perceiver-s3-")
    assert config.arm_key.startswith("perceiver-")
    assert len(config.key.removeprefix("perceiver-s3-")) == 8


def test_the_label_of_an_adapter_is_its_architecture():
    config = TrialConfig(bridge="adapter", seed=3).with_fields({"adapter.architecture": "perceiver"})
    assert config.key.startswith("perceiver-s3-")
    assert config.key != TrialConfig(seed=3).with_fields({"fusion.strategy": "perceiver"}).key


def test_the_conditioner_is_the_part_that_the_bridge_names():
    fusion, adapter = (TrialConfig(bridge=bridge) for bridge in ("fusion", "adapter"))
    assert fusion.conditioner == fusion.fusion
    assert adapter.conditioner == adapter.adapter


@pytest.mark.parametrize("field", [name for name in field_names() if name.startswith(("fusion.", "adapter."))])
def test_a_field_of_the_part_that_is_not_built_must_keep_its_default(field):
    unused, name = field.split(".")
    bridge = {"fusion": "adapter", "adapter": "fusion"}[unused]
    message = refused({"bridge": bridge, field: OTHER_VALUES[field]})
    default = TrialConfig().flat()[field]
    assert f"bridge '{bridge}' does not read '{field}', so it must keep its default {default!r}" in message
    assert name in type(getattr(TrialConfig(), unused)).model_fields


def test_a_float_field_given_as_a_whole_number_is_the_same_trial():
    assert (
        TrialConfig().with_fields({"train.weight_decay": 1}).key
        == TrialConfig().with_fields({"train.weight_decay": 1.0}).key
    )


@pytest.mark.parametrize("config", [TrialConfig(), TrialConfig(scale="full", seed=5).with_fields({"fusion.heads": 8})])
def test_json_round_trip_keeps_config_and_key(config):
    again = TrialConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again == config
    assert again.key == config.key


def test_a_config_is_frozen_in_all_its_parts():
    config = TrialConfig()
    parts = [config, *(part for _, part in config if isinstance(part, Part))]
    assert len(parts) == 14
    for part in parts:
        name = next(iter(type(part).model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, name, getattr(part, name))


def test_with_fields_leaves_the_original_alone():
    config = TrialConfig()
    config.with_fields({"fusion.layers": 2, "seed": 4})
    assert config == TrialConfig()


def test_several_fields_are_checked_together():
    # Either change alone is impossible: the grid must reach the target by doubling.
    config = TrialConfig().with_fields({"data.target_px": 56, "decoder.grid": 7})
    assert (config.data.target_px, config.decoder.grid) == (56, 7)
    refused({"data.target_px": 56})
    refused({"decoder.grid": 7})
