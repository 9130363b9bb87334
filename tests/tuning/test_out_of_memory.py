"""A trial that runs out of memory on a share of a GPU: no row, another process, a larger share. On a whole GPU it has failed."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import small_study
import torch

from foresight.runlog import RunLog
from foresight.train.task import Context
from foresight.tuning import sweep_metrics, trainable
from foresight.tuning.accelerator import MemoryReading
from foresight.tuning.gpu_share import GpuShare
from foresight.tuning.out_of_memory import JUDGED, OUTGREW, OutgrownError, is_out_of_memory
from foresight.tuning.record import Planned, record_trial
from foresight.tuning.recorder import TrialRecorder
from foresight.tuning.scratch import CHECKPOINT, FOLDER
from foresight.tuning.so_far import SoFar
from foresight.tuning.sweep import Placement
from foresight.tuning.sweep_metrics import SweepMetrics
from foresight.tuning.ticket import Ticket
from foresight.tuning.trainable import RACED, TrialActor

FORESIGHT = Path(__file__).parents[2] / "foresight"
TRIAL = small_study.space("tiny").trials(1)[0]
QUARTER, WHOLE = GpuShare(4, 500.0), GpuShare(1, 500.0)
CUDA_SAYS = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "runs" / "small_study")


def planned(share: GpuShare | None, **fields: Any) -> Planned:
    return Planned(TRIAL, "small_study", attempt=2, share=share, **fields)


def play(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None, **columns: Any) -> None:
    """Trainings of two epochs, the second of which may raise."""

    def run_trial(config, data, context, saved=None, ranks=None) -> Iterator[dict]:
        yield {"epoch": 1, "step": 2, "wall_s": 1.0}
        if saved is not None:
            saved.write(b"where it stands")
        if error is not None:
            raise error
        yield {"epoch": 2, "step": 4, "wall_s": 2.0}
        samples = pd.DataFrame({"sample_hash": ["a"], "mask_iou": [0.75]})
        return SimpleNamespace(columns=columns, epochs=[], samples=samples, pictures={}, weights={})

    monkeypatch.setattr("foresight.train.trial.run_trial", run_trial)


def run(log: RunLog, share: GpuShare | None) -> None:
    list(record_trial(log, planned(share), data=None, context=Context("cpu")))


# --- what is one -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CUDA_SAYS, True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("GET was unable to find an engine to execute this computation"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (MemoryError(), False),  # the machine's own
        (ValueError("CUDA error: out of memory"), False),
    ],
)
def test_what_counts_as_out_of_memory(error, expected):
    assert is_out_of_memory(error) is expected


# --- the row ---------------------------------------------------------------------------------------------------------


def test_on_a_share_it_leaves_no_row(monkeypatch, log):
    play(monkeypatch, CUDA_SAYS)
    with pytest.raises(OutgrownError):
        run(log, QUARTER)
    assert log.statuses() == {}


@pytest.mark.parametrize(("share", "begins"), [(WHOLE, "with a whole GPU: OutOfMemoryError: CUDA"), (None, "OutOf")])
def test_on_a_gpu_of_its_own_it_is_a_failed_row(monkeypatch, log, share, begins):
    play(monkeypatch, CUDA_SAYS)
    run(log, share)
    row = log.read_trial(TRIAL.key)
    assert (row["status"], row["attempt"]) == ("failed", 2)
    assert row["error"].startswith(begins)
    assert row.get("env/gpu_share") == (None if share is None else 1.0)


def test_any_other_error_on_a_share_is_a_failed_row(monkeypatch, log):
    play(monkeypatch, ValueError("a bad arm"))
    run(log, QUARTER)
    row = log.read_trial(TRIAL.key)
    assert (row["status"], row["env/gpu_share"]) == ("failed", 0.25)
    assert row["error"].startswith("ValueError: a bad arm")


def test_a_trial_whose_process_was_refused_memory_does_not_count_though_it_ended(monkeypatch, log):
    play(monkeypatch, **{"env/refused_allocations": 1})
    with pytest.raises(OutgrownError):
        run(log, QUARTER)
    assert log.statuses() == {}
    run(log, WHOLE)  # alone on the GPU it is as it would be without packing
    assert log.statuses() == {TRIAL.key: "complete"}


def test_a_trial_that_was_refused_nothing_counts(monkeypatch, log):
    play(monkeypatch, **{"env/refused_allocations": 0})
    run(log, QUARTER)
    assert log.read_trial(TRIAL.key)["env/gpu_share"] == 0.25


# --- its process -----------------------------------------------------------------------------------------------------


class NotedGpu:
    device = "cpu"

    def __init__(self) -> None:
        self.capped: list[tuple[float, float]] = []

    def read(self) -> MemoryReading:
        raise AssertionError("beside other trials nobody can tell who holds the memory")

    def cap(self, share: float, overhead_mb: float) -> None:
        self.capped.append((share, overhead_mb))


@pytest.fixture
def gpu() -> NotedGpu:
    return NotedGpu()


@pytest.fixture
def begin(monkeypatch, log, gpu, tmp_path):
    """Begins a trial in a process of Tune's, without Tune."""
    placement = Placement(tmp_path / "runs", slots=1, gpus=1.0, pack=8, cache=tmp_path / "cache", accelerator=gpu)
    monkeypatch.setattr("foresight.features.stage.stage", lambda *a: SimpleNamespace(train=[], val=[], test=[]))
    monkeypatch.setattr(trainable, "worker_context", lambda placement: Context(placement.device))
    monkeypatch.setattr("foresight.tuning.record.write_split", lambda *a: None)
    monkeypatch.setattr(TrialActor, "_stage", lambda actor, config: STAGED)

    def begin(share: GpuShare | None, **fields: Any) -> TrialActor:
        actor = object.__new__(TrialActor)
        config = {"key": TRIAL.key, "planned": Ticket(planned(share, **fields))}
        actor.setup(config, placement, SimpleNamespace(primary="mask_iou"), log)
        return actor

    return begin


SPLIT = SimpleNamespace(sample_hash=())
STAGED = SimpleNamespace(train=SPLIT, val=SPLIT, test=SPLIT, heldout={})


def test_it_tells_the_driver_which_attempt_outgrew_its_share_and_keeps_its_checkpoint(monkeypatch, log, begin):
    play(monkeypatch, CUDA_SAYS)
    actor = begin(QUARTER)
    assert actor.step() == {"key": TRIAL.key, "done": False, "epoch": 1}
    assert actor.step() == {"key": TRIAL.key, "done": True, OUTGREW: 2, JUDGED: 0}
    assert (log.root / FOLDER / TRIAL.key / CHECKPOINT).read_bytes() == b"where it stands"
    play(monkeypatch)
    larger = begin(WHOLE)
    while not (result := larger.step())["done"]:
        pass
    assert OUTGREW not in result
    assert log.statuses() == {TRIAL.key: "complete"}
    assert not (log.root / FOLDER / TRIAL.key / CHECKPOINT).exists()


def test_a_scheduler_hears_of_an_epoch_once_though_the_next_attempt_repeats_it(monkeypatch, begin):
    play(monkeypatch, CUDA_SAYS)
    actor = begin(QUARTER, raced="wall_s")
    assert actor.step()[RACED] == 1.0
    assert actor.step() == {"key": TRIAL.key, "done": True, OUTGREW: 2, JUDGED: 1}
    again = begin(WHOLE, raced="wall_s", judged=1).step()
    assert again["row"]["epoch"] == 1
    assert RACED not in again
    assert RACED in begin(WHOLE, raced="wall_s").step()


def test_a_failed_trial_leaves_no_checkpoint(monkeypatch, log, begin):
    play(monkeypatch, ValueError("a bad arm"))
    actor = begin(QUARTER)
    assert [actor.step()["done"] for _ in range(2)] == [False, True]
    assert not (log.root / FOLDER / TRIAL.key / CHECKPOINT).exists()


@pytest.mark.parametrize(("share", "capped"), [(QUARTER, [(0.25, 500.0)]), (WHOLE, []), (None, [])])
def test_a_process_is_capped_at_its_share_before_it_takes_anything(monkeypatch, begin, gpu, share, capped):
    seen = []
    monkeypatch.setattr(trainable, "worker_context", lambda placement: seen.append(list(gpu.capped)) or Context("cpu"))
    play(monkeypatch)
    actor = begin(share)
    actor.step()
    assert seen == [capped]
    actor.reset_config({"planned": Ticket(planned(share))})
    actor.step()
    assert gpu.capped == capped  # once, for all trials of the process
    assert actor.context.gpus == (0.25 if share is QUARTER else 1.0)  # cost/gpu_s is seconds times it


def test_memory_that_is_short_from_the_start_is_no_failed_row_either(monkeypatch, log, begin):
    def full(*arguments):
        raise CUDA_SAYS

    monkeypatch.setattr(TrialActor, "_stage", full)
    assert begin(QUARTER).step() == {"key": TRIAL.key, "done": True, OUTGREW: 2, JUDGED: 0}
    monkeypatch.setattr(trainable, "worker_context", full)
    assert begin(QUARTER).step() == {"key": TRIAL.key, "done": True, OUTGREW: 2, JUDGED: 0}
    assert log.statuses() == {}


# --- the driver ------------------------------------------------------------------------------------------------------


def test_the_driver_waits_for_it_and_uses_its_process_no_more(log):
    progress = SimpleNamespace(paused=[])
    progress.pause = progress.paused.append
    recorder = TrialRecorder(log, "mask_iou", progress, 1.0)
    asked = object()
    trial = SimpleNamespace(
        config={"key": TRIAL.key, "planned": Ticket(planned(QUARTER))},
        last_result={"done": True, OUTGREW: 2},
        placement_group_factory=asked,
    )
    recorder.epochs[TRIAL.key] = epochs = [{"epoch": 1}]
    recorder.on_trial_complete(0, [], trial)
    assert progress.paused == [TRIAL.key]
    assert recorder.epochs[TRIAL.key] == epochs  # the next attempt may go on after them
    # Tune keeps a process for the next trial that asks for the same: no trial asks for this.
    assert trial.placement_group_factory != asked
    assert trial.placement_group_factory.bundles == [{"CPU": 0.0001}]
    assert log.statuses() == {}


def test_what_is_watched_counts_shares_and_has_it_wait_again(monkeypatch, log):
    endpoint = SimpleNamespace(set_default_tags=lambda tags: None)
    monkeypatch.setattr(
        sweep_metrics, "metrics", SimpleNamespace(Gauge=lambda *a: endpoint, Counter=lambda *a: endpoint)
    )
    clock = SimpleNamespace(now=0.0)
    watched = SweepMetrics(log, lambda: 1, "mask_iou", 1.0, SoFar(), now=lambda: clock.now)
    trial = SimpleNamespace(config={"key": TRIAL.key, "planned": Ticket(planned(QUARTER))}, last_result={OUTGREW: 2})
    watched.on_trial_start(0, [], trial)
    clock.now = 100.0
    watched.on_trial_complete(0, [], trial)
    clock.now = 200.0
    watched._count_gpu_seconds()
    assert watched.gpu_s == 25.0
    assert watched.counts["running"] == 0
    watched.on_trial_start(0, [], trial)
    assert (watched.counts["running"], watched.counts["pending"]) == (1, 0)


# --- results ---------------------------------------------------------------------------------------------------------


def test_nothing_that_trains_asks_how_much_memory_there_is():
    """Batches are those of the config, and cuDNN is never told to try algorithms out, which would choose by free memory.

    What is left is that cuDNN falls back where memory is refused: such a trial does not count on a share (see above).
    """
    asks = re.compile(
        r"mem_get_info|memory_reserved|memory_allocated|total_memory|empty_cache|cudnn\.benchmark|num_ooms"
    )
    found = {
        str(path.relative_to(FORESIGHT))
        for path in FORESIGHT.rglob("*.py")
        if any(asks.search(line.partition("#")[0]) for line in path.read_text().splitlines())
    }
    # Each of the last two states what was taken, in columns of its own.
    assert found == {"tuning/accelerator.py", "train/trial.py", "train/component_latency.py"}
    assert torch.backends.cudnn.benchmark is False
