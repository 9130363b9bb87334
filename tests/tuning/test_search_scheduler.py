"""Who stops a trial, when, and what is left of it: Tune's ASHA over our epochs, and the row that the driver writes."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import small_search
from ray.tune.schedulers import TrialScheduler

from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.space import Arm, Trial
from foresight.tuning.record import Planned, write_stopped
from foresight.tuning.recorder import TrialRecorder, is_stopped
from foresight.tuning.search import Asha, Objective
from foresight.tuning.search_alg import build_scheduler
from foresight.tuning.search_study import SAMPLERS, SamplerName
from foresight.tuning.ticket import tune_config

IOU = Objective("mask_iou", "val/mask_iou", higher=True)
LOSS = Objective("loss", "val/loss", higher=False)
EPOCHS = [
    {"epoch": epoch, "step": 2 * epoch, "wall_s": 1.5 * epoch, "train/loss": 1 / epoch, "val/loss": 0.1 * epoch}
    for epoch in (1, 2)
]


def decide(scheduler: Any, name: str, values: list[float]) -> list[str]:
    trial = SimpleNamespace(trial_id=name)
    scheduler.on_trial_add(None, trial)
    return [
        scheduler.on_trial_result(None, trial, {"epoch": epoch, "raced": value})
        for epoch, value in enumerate(values, start=1)
    ]


def curves(objective: Objective, *values: list[float]) -> list[pd.DataFrame]:
    return [pd.DataFrame({"epoch": range(1, len(v) + 1), objective.column: v}) for v in values]


@pytest.mark.parametrize(
    ("asha", "epochs", "rungs"),
    [(Asha(1, 3), 4, [1, 3]), (Asha(1, 3), 3, [1]), (Asha(2, 3), 8, [2, 6]), (Asha(1, 3), 244, [1, 3, 9, 27, 81, 243])],
)
def test_rungs_lie_before_the_last_epoch_and_the_scheduler_has_all_of_them(asha, epochs, rungs):
    assert list(asha.rungs(epochs)) == rungs
    scheduler = build_scheduler(asha, IOU, epochs, [])
    milestones = [milestone for milestone, _ in scheduler._brackets[0]._rungs]
    assert set(rungs) <= set(milestones) <= {*rungs, epochs}


def test_a_worse_trial_is_stopped_at_the_rung_and_no_earlier():
    scheduler = build_scheduler(Asha(2, 2), IOU, 6, [])
    assert decide(scheduler, "good", [0.1, 0.5, 0.6, 0.7, 0.8]) == [TrialScheduler.CONTINUE] * 5
    assert decide(scheduler, "bad", [0.9, 0.4]) == [TrialScheduler.CONTINUE, TrialScheduler.STOP]


def test_of_a_loss_the_larger_one_is_stopped():
    scheduler = build_scheduler(Asha(1, 2), LOSS, 6, [])
    assert decide(scheduler, "good", [0.5]) == [TrialScheduler.CONTINUE]
    assert decide(scheduler, "bad", [0.6]) == [TrialScheduler.STOP]


def test_what_is_on_record_is_competed_with():
    before = curves(IOU, [0.1, 0.5], [0.1, 0.6, 0.7])
    assert decide(build_scheduler(Asha(2, 2), IOU, 6, before), "new", [0.9, 0.4])[-1] == TrialScheduler.STOP
    assert decide(build_scheduler(Asha(2, 2), IOU, 6, []), "new", [0.9, 0.4])[-1] == TrialScheduler.CONTINUE


@pytest.fixture
def planned() -> Planned:
    config = small_search.space("tiny").baseline
    return Planned(Trial(Arm("p003", "proposal", "p003", config), config), "small_search", attempt=2, raced="val/loss")


class FakeProgress:
    def __init__(self) -> None:
        self.finished: list[tuple] = []

    def start(self, key: str) -> None:
        """Shows nothing."""

    def finish(self, *arguments) -> None:
        self.finished.append(arguments)


def test_a_stopped_trial_is_a_row_with_its_epochs_and_no_test_metric(tmp_path, planned):
    log = RunLog(tmp_path)
    write_stopped(log, planned, EPOCHS, {"env/host": "there", "env/device": "cuda"}, 8.0, 5.0)
    row = log.read_trial(planned.key)
    assert (row["status"], row["attempt"], row["arm"], row["provenance"]) == ("stopped", 2, "p003", "trained")
    assert (row["train/epochs_run"], row["val/loss"], row["cost/train_s"], row["env/host"]) == (2, 0.2, 3.0, "there")
    assert (row["cost/trial_s"], row["cost/gpu_s"]) == (5.0, 24.0)
    assert log.read_epochs(planned.key).to_dict("records") == EPOCHS
    assert log.read_config(planned.key) == planned.trial.config.model_dump(mode="json")
    assert not [name for name in row if name.startswith("test/")]


def test_the_recorder_writes_the_row_of_what_the_scheduler_stopped(tmp_path, planned):
    log = RunLog(tmp_path)
    recorder = TrialRecorder(log, "mask_iou", FakeProgress(), 2.0)
    trial = SimpleNamespace(config=tune_config(planned), last_result={})
    recorder.on_trial_start(0, [], trial)
    for row in EPOCHS:
        trial.last_result = {"epoch": row["epoch"], "row": row, "environment": {"env/device": "cpu"}}
        recorder.on_trial_result(0, [], trial, trial.last_result)
    recorder.on_trial_complete(0, [], trial)
    assert log.statuses() == {planned.key: "stopped"}
    assert len(log.read_epochs(planned.key)) == 2
    assert recorder.epochs == recorder.started == {}
    row = log.read_trial(planned.key)
    assert (row["cost/gpu_s"], row["cost/trial_s"]) == (2 * 3.0, 3.0)
    assert recorder.progress.finished == [(planned.key, "p003", None, None)]


def test_a_trial_that_ended_by_itself_is_none_that_was_stopped(planned):
    assert is_stopped(planned, {"epoch": 3})
    assert not is_stopped(planned, {"done": True})
    assert not is_stopped(planned, None)
    unraced = Planned(planned.trial, planned.sweep, attempt=1)
    assert not is_stopped(unraced, {"epoch": 3})


def test_each_sampler_that_can_be_declared_is_there():
    from typing import get_args

    assert set(SAMPLERS) == set(get_args(SamplerName))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"objectives": ()}, "one objective or several"),
        ({"objectives": ("loss", "loss")}, "one objective or several"),
        ({"objectives": ("mask_ou",)}, "did you mean 'mask_iou'?"),
        ({"objectives": ("loss", "params_trained")}, "leave out asha"),
        ({"objectives": ("params_trained",)}, "leave out asha"),
        ({"sampler": "tpee"}, "unknown sampler 'tpee' (did you mean 'tpe'?)"),
        ({"seeds": 3}, "fewer seeds a proposal than the 3"),
        ({"seeds": 0}, "at least one proposal and one seed"),
        ({"asha": Asha(3, 2)}, "not before the end of a training of 3"),
        ({"asha": Asha(1, 1)}, "a reduction of 2 or more"),
    ],
)
def test_a_wrong_search_is_refused_in_one_sentence(changes, sentence):
    from dataclasses import replace

    with pytest.raises(RequestError) as refused:
        replace(small_search.SEARCH, **changes).check(small_search.space("tiny"))
    assert sentence in str(refused.value)


def test_a_search_needs_a_claim_that_says_it_explores():
    from dataclasses import replace

    claim = replace(small_search.SEARCH.claim, exploratory=False)
    with pytest.raises(RequestError, match="exploratory=True"):
        replace(small_search.SEARCH, claim=claim).check(small_search.space("tiny"))
