"""What is measured before trials share GPUs; Ray and the GPU are played here."""

import io
from pathlib import Path

import pytest
import small_study
import torch
from played_ray import PlayedRay
from pretended_gpu import GPU_MB, OVERHEAD_MB, PEAK_MB, PretendedGpu
from rich.console import Console

from foresight.claim import Claim
from foresight.config import TrialConfig
from foresight.runlog import RunLog
from foresight.side_costs import Held, read_side_costs
from foresight.train.task import Context
from foresight.tuning import memory_probe
from foresight.tuning.accelerator import MemoryReading
from foresight.tuning.execute import Runner
from foresight.tuning.memory_probe import Probed, run_memory_probe
from foresight.tuning.sweep import Placement
from foresight.tuning.timed import Timed
from search_spaces import p2_end_to_end

BASELINE, LAYERS, QUERIES = small_study.space("tiny").arms()


@pytest.fixture
def placement(tmp_path: Path) -> Placement:
    gpu = PretendedGpu(tmp_path / "sharing")
    return Placement(tmp_path / "runs", slots=1, gpus=1.0, pack=8, cache=tmp_path / "cache", accelerator=gpu)


@pytest.fixture
def ran(monkeypatch) -> list[TrialConfig]:
    """The configs of the trials that a probe runs; `fails` of the fixture's function raises in them."""
    configs: list[TrialConfig] = []

    def run_trial(config, data, context):
        configs.append(config)
        yield {"epoch": 1}

    monkeypatch.setattr("foresight.train.trial.run_trial", run_trial)
    monkeypatch.setattr("foresight.features.stage.stage", lambda *a: None)
    monkeypatch.setattr(memory_probe, "worker_context", lambda placement: Context(placement.device))
    return configs


def test_a_probe_is_the_trial_with_one_epoch(placement, ran):
    assert run_memory_probe(BASELINE.config, placement).result == Probed(MemoryReading(PEAK_MB, OVERHEAD_MB, GPU_MB))
    (config,) = ran
    assert config == BASELINE.config.with_fields({"train.epochs": 1})


def test_a_probe_starts_from_the_trained_bridge_as_its_trial_does(placement, ran, monkeypatch):
    brought = []
    monkeypatch.setattr(memory_probe, "bring_weights", lambda place, key: brought.append(key))
    whole = p2_end_to_end.space("tiny").baseline
    run_memory_probe(whole, placement)
    assert ran[0].head_train.epochs == 1
    assert brought == [whole.continued().key] == [ran[0].continued().key]


def test_without_an_arm_the_gpu_alone_is_read(placement, ran):
    assert run_memory_probe(None, placement).result.reading.total_mb == GPU_MB
    assert ran == []


def test_an_arm_for_which_a_gpu_is_too_small_needs_all_of_it(placement, ran, monkeypatch):
    def run_trial(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("foresight.train.trial.run_trial", run_trial)
    assert run_memory_probe(BASELINE.config, placement).result == Probed(MemoryReading(GPU_MB, OVERHEAD_MB, GPU_MB))


def test_an_arm_that_fails_is_said_to(placement, ran, monkeypatch):
    def run_trial(*arguments):
        raise ValueError("a bad arm")

    monkeypatch.setattr("foresight.train.trial.run_trial", run_trial)
    assert run_memory_probe(BASELINE.config, placement).result.failed.startswith("ValueError: a bad arm")


# --- all arms of a study ---------------------------------------------------------------------------------------------


@pytest.fixture
def plan(monkeypatch, placement):
    """Plans the packing of three arms with played probes; returns the packing, the probed arms and what was said."""

    def run(peaks: dict[str, float], failed: str = ""):
        probed = []

        class Probe:
            def remote(self, config: TrialConfig | None, placement: Placement):
                probed.append(next((a.name for a in small_study.space("tiny").arms() if a.config == config), None))
                name = probed[-1]
                reading = MemoryReading(peaks.get(name, 0.0), OVERHEAD_MB + 10 * (name is not None), GPU_MB)
                probed_now = Probed(reading, "ValueError: no" if name == failed else "")
                return lambda: Timed(probed_now, PROBE_S)

        ray, console = PlayedRay(), Console(file=io.StringIO(), width=200)
        monkeypatch.setattr(ray, "remote", lambda **options: lambda function: Probe())
        claim = Claim("?", "mask_iou", 0.02, 0.05, 2)
        log = RunLog(placement.runs / "small_study")
        packing = Runner(ray, log, placement, claim, console).plan_packing([BASELINE, LAYERS, QUERIES])
        return packing, probed, console.file.getvalue()

    return run


PROBE_S = 12.0
PEAKS = {BASELINE.name: 90.0, LAYERS.name: 200.0, QUERIES.name: 500.0}


def parts(packing) -> list[int]:
    return [packing.share_of(arm.config).parts for arm in (BASELINE, LAYERS, QUERIES)]


def test_each_arm_is_measured_once_and_never_again(plan, placement):
    packing, probed, said = plan(PEAKS)
    assert probed == [*PEAKS]  # each alone on the GPU
    assert read_side_costs(RunLog(placement.runs / "small_study")) == {"memory": Held(gpu_s=3 * PROBE_S)}
    assert "measuring what 3 arms need" in said
    # The overhead is the largest that was seen, 20: 1.2 x 110 = 132, 1.2 x 220 = 264, 1.2 x 520 = 624 of 1000.
    assert parts(packing) == [7, 3, 1]
    again, probed, said = plan({})
    assert probed == [None]
    assert parts(again) == [7, 3, 1]
    assert said == ""


def test_an_arm_that_could_not_be_measured_gets_the_most_and_is_measured_next_time(plan):
    packing, _, said = plan({BASELINE.name: 90.0, LAYERS.name: 200.0}, failed=QUERIES.name)
    assert f"{QUERIES.name} could not be measured (ValueError: no)" in said
    assert parts(packing) == [7, 3, 3]
    assert plan(PEAKS)[1] == [QUERIES.name]
