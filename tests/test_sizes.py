"""Sizes on record: the same as when they are counted, of this code alone, and back when they are deleted."""

import json

import pytest

from foresight import sizes
from foresight.config import TrialConfig
from foresight.sizes import recall_sizes, sized_config

SMALL = sized_config(TrialConfig())
WIDE = sized_config(TrialConfig().with_fields({"fusion.width": 64}))


class Counter:
    """Counts how often it is asked to measure."""

    def __init__(self):
        self.asked = []

    def __call__(self, configs):
        for config in configs:
            self.asked.append(config)
            yield {"flops": float(config.fusion.width)}


def test_what_was_counted_is_not_counted_again_until_the_record_or_the_code_changes(tmp_path, monkeypatch):
    count = Counter()
    expected = {SMALL: {"flops": 32.0}, WIDE: {"flops": 64.0}}
    assert recall_sizes([SMALL], tmp_path, count) == {SMALL: expected[SMALL]}
    assert recall_sizes([SMALL, WIDE], tmp_path, count) == expected
    assert count.asked == [SMALL, WIDE]
    (record,) = tmp_path.glob("sizes-*.json")
    record.write_text("half of")
    assert recall_sizes([SMALL, WIDE], tmp_path, count) == expected
    assert len(json.loads(record.read_text())) == len(count.asked) - 2 == 2
    monkeypatch.setattr(sizes, "code_version", lambda: "another")
    assert recall_sizes([SMALL], tmp_path, count) == {SMALL: expected[SMALL]}
    assert [path.name for path in tmp_path.glob("sizes-*.json")] == ["sizes-another.json"]


def test_what_was_counted_before_ctrl_c_is_not_counted_again(tmp_path):
    def is_interrupted(configs):
        yield {"flops": 1.0}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recall_sizes([SMALL, WIDE], tmp_path, is_interrupted)
    count = Counter()
    assert recall_sizes([SMALL, WIDE], tmp_path, count) == {SMALL: {"flops": 1.0}, WIDE: {"flops": 64.0}}
    assert count.asked == [WIDE]


def test_a_folder_that_cannot_be_written_only_costs_the_record(tmp_path):
    (tmp_path / "file").write_text("")
    assert recall_sizes([SMALL], tmp_path / "file" / "below", Counter()) == {SMALL: {"flops": 32.0}}


def test_the_seed_and_the_training_are_no_part_of_a_size_and_the_width_is():
    assert sized_config(TrialConfig().with_fields({"seed": 3, "train.lr": 0.1, "data.n_train": 7})) == SMALL
    assert SMALL != WIDE
