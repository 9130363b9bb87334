"""What a trial that trains nothing may say in its config, and what it needs before it runs."""

import pytest

from foresight.config import TrialConfig, field_names
from foresight.errors import RequestError
from foresight.features.requests import missing_requests, needed_entries
from foresight.features.store import ArrayStore
from foresight.tuning.sweep import run_order
from search_spaces import p2_latency
from sweeps.p2_dinov2_only import SWEEP as TRAINED
from sweeps.p2_latency import SWEEP as TIMED

UNREAD = {
    "data.n_train": 511, "data.n_test": 199, "data.seed": 1, "data.name": "coco", "train.epochs": 3, "train.lr": 1e-3,
    "train.precision": "bf16", "loss.mask_weight": 0.2,
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), UNREAD.items())
def test_a_field_of_the_data_or_the_training_is_refused(field, value):
    with pytest.raises(RequestError, match=f"task 'latency' does not read '{field}'"):
        TrialConfig().with_fields({"task": "latency", field: value})


@pytest.mark.parametrize("field", ["timing.batch_size", "timing.n_repeats"])
def test_a_trial_that_trains_refuses_the_timing(field):
    with pytest.raises(RequestError, match=f"task 'reconstruction' does not read '{field}'"):
        TrialConfig().with_fields({field: 8})


@pytest.mark.parametrize("stream", ["vlm", "dinov2"])
def test_an_overhead_needs_both_streams(stream):
    with pytest.raises(RequestError, match="task 'latency' sets both streams against the VLM alone"):
        TrialConfig().with_fields({"task": "latency", "streams": stream})


def test_it_needs_no_features(tmp_path):
    configs = [arm.config for arm in p2_latency.space("tiny").arms()]
    assert needed_entries(configs) == set()
    assert missing_requests([*configs, TrialConfig()], ArrayStore(tmp_path))[0][0].configs == (TrialConfig(),)


def test_every_factor_of_the_study_is_a_field_that_the_task_reads():
    space = p2_latency.space("tiny")
    assert {factor.field for factor in space.factors} <= set(field_names())
    assert len({arm.config.arm_key for arm in space.arms()}) == 10


def test_where_time_is_measured_each_block_has_an_order_of_its_own():
    planned = TIMED.space("tiny").trials(3)
    run = run_order(TIMED, planned)
    assert sorted(trial.key for trial in run) == sorted(trial.key for trial in planned)
    blocks = [[trial.arm.name for trial in run if trial.seed == seed] for seed in range(3)]
    assert [trial.seed for trial in run] == sorted(trial.seed for trial in run)  # whole blocks still come first
    assert len(set(map(tuple, blocks))) == 3
    assert run_order(TIMED, planned[::-1]) == run  # the same at every start
    others = TRAINED.space("tiny").trials(2)
    assert run_order(TRAINED, others) == others
