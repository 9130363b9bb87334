"""A training that is broken off and taken up again ends as one that nobody disturbed, bit for bit."""

import itertools
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_trials import fill, small, small_detector, small_ltx
from torch import nn

from foresight.config import TrialConfig
from foresight.features.stage import StagedData, stage
from foresight.features.store import ArrayStore
from foresight.metrics.lpips import Lpips
from foresight.models import ltx_shapes
from foresight.train.checkpoint import Checkpoint
from foresight.train.loop import Ended, train
from foresight.train.schedules import SCHEDULES
from foresight.train.task import Context
from foresight.train.trial import build_task, run_trial, shapes_of

IDENTITY = {"key": "a trial"}


def kept_in(path: Path, identity: dict = IDENTITY, **fields) -> Checkpoint:
    return Checkpoint(lambda: path.read_bytes() if path.exists() else None, path.write_bytes, identity, **fields)


def run(config, data, context, saved=None, until=None) -> tuple[nn.Module, list[dict], Ended | None]:
    """(the model, its epochs' rows without times, how it ended); broken off after `until` epochs."""
    task = build_task(config, context)
    model = task.build(shapes_of(data))
    training, rows = train(task, model, data, saved=saved), []
    while True:
        try:
            row = dict(next(training))
        except StopIteration as end:
            return model, rows, end.value
        del row["wall_s"]
        rows.append(row)
        if len(rows) == until:
            torch.rand(7)  # what else the process draws meanwhile
            return model, rows, None


def assert_goes_on_bit_for_bit(config: TrialConfig, data: StagedData, context: Context, folder, breaks) -> None:
    whole, rows, ended = run(config, data, context)
    for broken_after in breaks:
        file = kept_in(folder / f"{broken_after}.safetensors")
        _, before, _ = run(config, data, context, file, until=broken_after)
        model, again, resumed = run(config, data, context, file)
        assert before == rows[:broken_after] and again == rows
        assert resumed.n_before == broken_after
        assert (resumed.kept_epoch, resumed.converged) == (ended.kept_epoch, ended.converged)
        theirs = whole.state_dict()
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("schedule", [name for name in SCHEDULES if name != "plateau"])
def test_every_schedule_goes_on_bit_for_bit_after_any_epoch(schedule, data, tmp_path):
    config = small(
        train__schedule=schedule, train__epochs=4, train__batch_size=2, train__accumulate=2, fusion__dropout=0.2
    )
    assert_goes_on_bit_for_bit(config, data, Context("cpu"), tmp_path, breaks=(1, 2, 3, 4))


@pytest.mark.parametrize("lr", [1e-2, 1e-9])
def test_a_training_to_a_criterion_goes_on_before_and_after_its_cut(lr, data, tmp_path):
    config = small(
        train__schedule="plateau", train__patience=2, train__epochs=40, train__batch_size=8, train__lr=lr,
        fusion__dropout=0.1,
    )  # fmt: skip
    _, rows, ended = run(config, data, Context("cpu"))
    assert ended.converged
    assert_goes_on_bit_for_bit(config, data, Context("cpu"), tmp_path, breaks=range(1, len(rows) + 1, 2))


def test_half_precision_goes_on_bit_for_bit(data, tmp_path):
    config = small(train__precision="bf16", train__epochs=3, fusion__dropout=0.2)
    assert_goes_on_bit_for_bit(config, data, Context("cpu"), tmp_path, breaks=(1, 2))


def test_a_task_that_keeps_its_best_epoch_goes_on_with_it(tmp_path_factory, tmp_path):
    config = small_detector(train__epochs=5, train__lr=2e-2, detector__keep_best=True, detector__denoising=True)
    data = stage(config, fill(ArrayStore(tmp_path_factory.mktemp("scenes")), config), "cpu")
    assert_goes_on_bit_for_bit(config, data, Context("cpu"), tmp_path, breaks=(1, 2, 3, 4))


def test_a_frozen_decoder_is_not_saved(monkeypatch, tmp_path_factory, tmp_path, lpips):
    cache = tmp_path_factory.mktemp("ltx")
    config = small_ltx(train__epochs=2)
    few = ltx_shapes.ToyRecipe(n_pictures=16, vae_steps=2, vae_batch=4, transformer_steps=2, transformer_batch=4)
    monkeypatch.setattr(ltx_shapes, "RECIPE", few)
    data = stage(config, fill(ArrayStore(cache), config), "cpu")
    context = Context("cpu", lpips, cache)
    assert_goes_on_bit_for_bit(config, data, context, tmp_path, breaks=(1,))
    assert not [name for name in load_file(tmp_path / "1.safetensors") if "transformer" in name]


def test_a_trial_that_was_broken_off_measures_the_same(data, tmp_path, lpips: Lpips):
    config, context = small(train__epochs=3, fusion__dropout=0.2), Context("cpu", lpips)

    def finish(saved):
        running, rows = run_trial(config, data, context, saved), []
        while True:
            try:
                rows.append(next(running))
            except StopIteration as end:
                return rows, end.value

    _, whole = finish(None)
    file = kept_in(tmp_path / "checkpoint.safetensors")
    before = list(itertools.islice(run_trial(config, data, context, file), 2))
    rows, resumed = finish(file)
    assert rows[:2] == before
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert whole.columns.pop("env/resumed_s") is None
    assert resumed.columns.pop("env/resumed_s") == before[-1]["wall_s"]
    measured = [name for name in whole.columns if not name.startswith("cost/")]
    assert {name: resumed.columns[name] for name in measured} == {name: whole.columns[name] for name in measured}
    assert resumed.samples.equals(whole.samples)
    assert [row["epoch"] for row in resumed.epochs] == [1, 2, 3]
    walls = [row["wall_s"] for row in resumed.epochs]
    assert walls == sorted(walls)
    assert resumed.columns["cost/trial_s"] > resumed.columns["cost/train_s"] == walls[-1]


def test_only_its_own_training_is_taken_up(data, tmp_path):
    path, config = tmp_path / "checkpoint.safetensors", small(train__epochs=2)
    run(config, data, Context("cpu"), kept_in(path), until=1)
    _, rows, _ = run(config, data, Context("cpu"), kept_in(path, IDENTITY | {"code": "changed"}))
    assert [row["epoch"] for row in rows] == [1, 2]


@pytest.mark.parametrize("n_bytes", [0, 5, 1000, -1])
def test_a_torn_file_costs_its_epochs_and_nothing_else(n_bytes, data, tmp_path):
    path, config = tmp_path / "checkpoint.safetensors", small(train__epochs=2)
    run(config, data, Context("cpu"), kept_in(path), until=1)
    path.write_bytes(path.read_bytes()[:n_bytes])
    _, rows, _ = run(config, data, Context("cpu"), kept_in(path))
    assert [row["epoch"] for row in rows] == [1, 2]


def test_it_is_saved_no_more_often_than_asked(data, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    run(small(train__epochs=2), data, Context("cpu"), kept_in(path, every_s=3600))
    assert not path.exists()
