import itertools
from dataclasses import replace

import pytest
import torch
from small_trials import small

from foresight.config import TrialConfig
from foresight.features.stage import StagedData, StagedSplit
from foresight.metrics.spatial import compute_mask_iou
from foresight.models.bridge import Bridge
from foresight.models.fusion import FUSIONS
from foresight.train import reconstruction
from foresight.train.loop import DivergedError, train
from foresight.train.reconstruction import Reconstruction
from foresight.train.schedules import SCHEDULES, Length
from foresight.train.task import Context
from foresight.train.trial import shapes_of


def reconstruct(config: TrialConfig) -> Reconstruction:
    return Reconstruction(config, Context("cpu"))


def validate(bridge: Bridge, split: StagedSplit, config: TrialConfig) -> dict[str, float]:
    return reconstruct(config).validate(bridge, split)


def run(config: TrialConfig, data: StagedData) -> tuple[Bridge, list[dict[str, float]]]:
    """(the trained bridge, its epoch rows without the time they took)"""
    task = reconstruct(config)
    bridge = task.build(shapes_of(data))
    rows = list(train(task, bridge, data))
    for row in rows:
        del row["wall_s"]
    return bridge, rows


def equal(first: Bridge, second: Bridge) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("strategy", FUSIONS)
def test_every_fusion_learns_eight_images_by_heart(strategy, data):
    config = small(
        fusion__strategy=strategy, train__epochs=110, train__batch_size=8, train__lr=7e-3, loss__mask_weight=1.0
    )
    bridge, rows = run(config, data)
    assert rows[0]["train/loss"] > 10 * rows[-1]["train/loss"]
    assert validate(bridge, data.train, config)["mask_iou"] > 0.95


def test_the_same_trial_gives_the_same_bits_whatever_ran_before(data):
    config = small(fusion__dropout=0.2)
    bridge, rows = run(config, data)
    run(small(fusion__strategy="film", seed=5), data)
    torch.rand(100)
    again, again_rows = run(config, data)
    assert rows == again_rows
    assert equal(bridge, again)


def test_another_seed_trains_otherwise(data):
    rows = [run(small(seed=seed), data)[1] for seed in (0, 1)]
    assert rows[0][0]["train/loss"] != rows[1][0]["train/loss"]


def test_dropout_acts_in_training(data):
    plain, dropped = (run(small(fusion__dropout=rate), data) for rate in (0.0, 0.2))
    assert not equal(plain[0], dropped[0])


def batches(config: TrialConfig, data: StagedData, monkeypatch) -> list[list[int]]:
    """The images of every training batch, in order."""
    seen = []
    original = Reconstruction.losses

    def record(self, bridge, split, index, *rest):
        seen.append(index.tolist())
        return original(self, bridge, split, index, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Reconstruction, "losses", record)
        run(config, data)
    return seen


def test_all_arms_of_a_block_see_the_same_batches(data, monkeypatch):
    baseline = batches(small(), data, monkeypatch)
    for changes in ({"fusion__strategy": "perceiver"}, {"fusion__dropout": 0.3}, {"fusion__queries": 8}):
        assert batches(small(**changes), data, monkeypatch) == baseline


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own(data, monkeypatch):
    config = small(train__epochs=3, train__batch_size=3)
    seen = batches(config, data, monkeypatch)
    assert [len(batch) for batch in seen] == [3, 3, 2] * 3
    epochs = [list(itertools.chain(*seen[3 * epoch : 3 * epoch + 3])) for epoch in range(3)]
    assert [sorted(order) for order in epochs] == [list(range(8))] * 3
    assert len(set(map(tuple, epochs))) == 3
    assert batches(config.with_fields({"seed": 1}), data, monkeypatch) != seen


def test_a_row_for_every_epoch(data):
    rows = run(small(train__epochs=3, train__batch_size=3), data)[1]
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 3), (2, 6), (3, 9)]
    losses = {"loss", "mse", "l1", "mask_bce"}
    expected = {"epoch", "step"} | {f"train/{name}" for name in losses} | {f"val/{name}" for name in losses}
    assert set(rows[0]) == expected | {"val/mask_iou"}


def test_the_training_loss_is_the_mean_over_the_images_of_the_epoch(data):
    # With a learning rate of next to nothing, the mean over batches of 3, 3 and 2 is that of all eight.
    config = small(train__epochs=1, train__batch_size=3, train__lr=1e-12)
    bridge, (row,) = run(config, data)
    whole = validate(bridge, data.train, config)
    for name in ("loss", "mse", "l1", "mask_bce"):
        assert row[f"train/{name}"] == pytest.approx(whole[name], rel=1e-5)


def test_validation_is_the_same_in_batches_of_any_size(data, monkeypatch):
    bridge, _ = run(small(), data)
    whole = validate(bridge, data.train, small())
    monkeypatch.setattr(reconstruction, "EVAL_BATCH", 3)
    assert validate(bridge, data.train, small()) == pytest.approx(whole, rel=1e-5)


def test_validation_trains_nothing_and_drops_nothing(data):
    config = small(fusion__dropout=0.5)
    bridge = reconstruct(config).build(shapes_of(data)).train()
    before = {name: value.clone() for name, value in bridge.state_dict().items()}
    assert validate(bridge, data.val, config) == validate(bridge, data.val, config)
    assert all(torch.equal(before[name], value) for name, value in bridge.state_dict().items())


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_step_takes_the_scheduled_learning_rate(data, monkeypatch, schedule):
    taken = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: taken.append(self.param_groups[0]["lr"]) or step(self))
    patience = 5 if schedule == "plateau" else None
    config = small(train__batch_size=2, train__lr=0.01, train__schedule=schedule, train__patience=patience)
    run(config, data)
    length = Length(n_steps=8, steps_per_epoch=4)
    assert taken == pytest.approx([0.01 * SCHEDULES[schedule](step, length, config.train) for step in range(8)])


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_accumulated_batches_train_like_one_large_batch(data, batch_size):
    # Of eight images: steps of 8, of 4 and 4, and of 6 and 2, the last from a batch that is not full.
    n = {1: 8, 2: 2, 3: 2}[batch_size]
    whole, parts = (
        run(small(train__batch_size=b, train__accumulate=k, fusion__layers=1), data)
        for b, k in ((batch_size * n, 1), (batch_size, n))
    )
    assert [row["step"] for row in parts[1]] == [row["step"] for row in whole[1]]
    for ours, theirs in zip(parts[1], whole[1], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_the_gradient_of_accumulated_batches_is_that_of_one_large_batch(data, monkeypatch):
    # Five images and three: an average of the two means would give the three too much weight.
    gradients = []

    def record(self):
        gradients.append(torch.cat([p.grad.flatten() for group in self.param_groups for p in group["params"]]))

    monkeypatch.setattr(torch.optim.AdamW, "step", record)
    for batch_size, accumulate in ((8, 1), (5, 2)):
        run(small(train__epochs=1, train__batch_size=batch_size, train__accumulate=accumulate), data)
    assert len(gradients) == 2
    assert (gradients[0] - gradients[1]).norm() < 1e-5 * gradients[0].norm()


def test_a_nan_ends_the_trial_and_names_the_steps(data):
    config = small(train__epochs=3)
    task = reconstruct(config)
    training = train(task, task.build(shapes_of(data)), data)
    assert next(training)["step"] == 2
    data.train.features.vlm_BVC[5] = float("nan")
    with pytest.raises(DivergedError, match="the loss became nan between steps 3 and 4"):
        next(training)


def test_a_learning_rate_far_too_large_diverges_instead_of_giving_numbers(data):
    config = small(train__lr=1e30, train__epochs=20)
    with pytest.raises(DivergedError, match="between steps"):
        run(config, data)


def test_what_the_last_step_of_an_epoch_broke_is_found(data):
    # One step an epoch: its loss is still a number, and the weights it leaves are not.
    config = small(train__epochs=1, train__batch_size=8)
    task = reconstruct(config)
    bridge = task.build(shapes_of(data))
    bridge.head.weight.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(DivergedError, match="between steps 1 and 1"):
        next(train(task, bridge, data))


def test_the_gradient_is_clipped(data, monkeypatch):
    norms = []
    step = torch.optim.AdamW.step

    def record(self):
        gradients = [p.grad.flatten() for group in self.param_groups for p in group["params"]]
        norms.append(torch.cat(gradients).norm().item())
        return step(self)

    monkeypatch.setattr(torch.optim.AdamW, "step", record)
    run(small(train__grad_clip=1e-3), data)
    assert norms == pytest.approx([1e-3] * 4, rel=1e-3)


def test_bf16_trains_near_single_precision(data):
    single, half = (run(small(train__precision=precision), data)[1][-1] for precision in ("fp32", "bf16"))
    assert half["train/loss"] != single["train/loss"]
    assert half["train/loss"] == pytest.approx(single["train/loss"], rel=0.05)


def test_an_epoch_is_trained_on_its_view(data):
    other = replace(data.train, targets_N3HW=255 - data.train.targets_N3HW)
    plain = run(small(train__epochs=2), data)[1]
    viewed = run(small(train__epochs=2), replace(data, views=(data.train, other)))[1]
    assert viewed[0] == plain[0]
    assert viewed[1]["train/loss"] != plain[1]["train/loss"]
    turned = run(small(train__epochs=2), replace(data, views=(other, data.train)))[1]
    assert turned[0]["train/loss"] != plain[0]["train/loss"]


def test_soft_masks_are_learned_as_shares(data):
    half = replace(data.train, masks_NHW=data.train.masks_NHW.half() / 2)
    whole, shared = (run(small(), replace(data, views=views))[1][0] for views in ((), (half,)))
    assert shared["train/mask_bce"] != whole["train/mask_bce"]
    logits, content = torch.zeros(1, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool)
    shares = torch.tensor([[[0.25, 1.0], [0.0, 0.0]]], dtype=torch.float16)
    assert compute_mask_iou(logits + 0.9, shares, content).item() == pytest.approx(1 / 4)  # 0.25 is no object
