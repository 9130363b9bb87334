import pytest
import torch
from small_trials import small

from foresight.features.stage import StagedData
from foresight.train.loop import Ended, train
from foresight.train.plateau import Plateau
from foresight.train.reconstruction import Reconstruction
from foresight.train.task import Context
from foresight.train.trial import run_trial, shapes_of


class Watched:
    """A model of one number, which is the epoch it was last trained in, and its plateau."""

    def __init__(self, patience: int):
        self.model = torch.nn.Linear(1, 1, bias=False)
        optimiser = torch.optim.AdamW(self.model.parameters(), fused=True)
        self.plateau = Plateau(patience, self.model, optimiser)
        self.epoch = 0

    def end_epoch(self, val_loss: float) -> tuple[float, bool]:
        """(share of the rate that is left, whether the training is over)"""
        self.epoch += 1
        torch.nn.init.constant_(self.model.weight, self.epoch)
        self.plateau.end_epoch(self.epoch, val_loss)
        return self.plateau.rate_frac, self.plateau.converged

    @property
    def trained_in(self) -> float:
        return self.model.weight.item()


def test_a_loss_that_falls_by_a_hundredth_goes_on():
    watched = Watched(patience=2)
    assert {watched.end_epoch(0.989**epoch) for epoch in range(50)} == {(1.0, False)}


def test_a_loss_that_falls_by_less_is_a_plateau():
    watched = Watched(patience=3)
    assert [watched.end_epoch(0.997**epoch)[0] for epoch in range(4)] == [1.0, 1.0, 1.0, 0.2]


def test_small_falls_add_up_to_a_better_loss():
    watched = Watched(patience=3)
    assert {watched.end_epoch(0.994**epoch) for epoch in range(50)} == {(1.0, False)}


def test_the_first_plateau_goes_back_to_the_best_weights_at_a_fifth_of_the_rate():
    watched = Watched(patience=2)
    for loss in (3.0, 1.0, 1.5):
        assert watched.end_epoch(loss) == (1.0, False)
    assert watched.end_epoch(1.2) == (0.2, False)
    assert watched.trained_in == 2


def test_the_second_plateau_ends_the_training():
    watched = Watched(patience=2)
    ended = [watched.end_epoch(loss)[1] for loss in (1.0, 1.0, 1.0, 0.8, 0.8, 0.799)]
    assert ended == [False] * 5 + [True]
    watched.plateau.restore_best()
    assert (watched.plateau.best_epoch, watched.trained_in) == (6, 6)


def test_the_kept_weights_are_of_the_least_loss_however_little_less():
    watched = Watched(patience=5)
    for loss in (1.0, 0.999, 0.9995):
        watched.end_epoch(loss)
    watched.plateau.restore_best()
    assert (watched.plateau.best_epoch, watched.trained_in) == (2, 2)


def run_to_the_end(config, data: StagedData) -> tuple[torch.nn.Module, list[dict[str, float]], Ended]:
    task = Reconstruction(config, Context("cpu"))
    model = task.build(shapes_of(data))
    training, rows = train(task, model, data), []
    while True:
        try:
            rows.append(next(training))
        except StopIteration as end:
            return model, rows, end.value


def plateau_trial(**fields):
    fields = {"train__schedule": "plateau", "train__patience": 2, "train__epochs": 60, "train__batch_size": 8} | fields
    return small(**fields)


@pytest.mark.parametrize("lr", [1e-2, 1e-9])
def test_a_training_that_ends_by_its_criterion_leaves_its_best_weights(data, lr):
    config = plateau_trial(train__lr=lr)
    model, rows, ended = run_to_the_end(config, data)
    losses = [row["val/loss"] for row in rows]
    assert (ended.kept_epoch, ended.converged) == (losses.index(min(losses)) + 1, True)
    assert len(rows) < 60
    kept = Reconstruction(config, Context("cpu")).validate(model, data.val)
    assert kept["loss"] == min(losses)


def test_a_training_that_reaches_the_maximum_did_not_converge(data):
    _, rows, ended = run_to_the_end(plateau_trial(train__epochs=3), data)
    assert len(rows) == 3
    assert ended.converged is False


def test_nothing_is_learned_at_a_vanishing_rate_and_two_patiences_end_it(data):
    # The first epoch is better than none; then 2 epochs to the first plateau and 2 to the second.
    assert len(run_to_the_end(plateau_trial(train__lr=1e-12), data)[1]) == 5


def test_the_rate_is_cut_once(data, monkeypatch):
    taken = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: taken.append(self.param_groups[0]["lr"]) or step(self))
    run_to_the_end(plateau_trial(train__lr=1e-12), data)
    assert taken == pytest.approx([0.5e-12, 1e-12, 1e-12, 0.2e-12, 0.2e-12])


def test_a_trial_records_how_it_ended_and_the_validation_of_the_weights_it_kept(data, lpips):
    running, rows = run_trial(plateau_trial(train__lr=1e-2), data, Context("cpu", lpips)), []
    while True:
        try:
            rows.append(next(running))
        except StopIteration as end:
            columns = end.value.columns
            break
    assert columns["train/converged"] == 1.0
    assert columns["train/epochs_run"] == len(rows)
    assert columns["val/loss"] == min(row["val/loss"] for row in rows) < rows[-1]["val/loss"]
