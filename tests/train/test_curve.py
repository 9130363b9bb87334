import pytest

from foresight.train.curve import compute_convergence_epoch, compute_loss_variance


def test_the_variance_is_of_the_last_ten_losses():
    assert compute_loss_variance([9.0, 5.0] + [1.0, 3.0] * 5) == pytest.approx(1.0)
    assert compute_loss_variance([1.0, 3.0] * 5) == pytest.approx(1.0)


def test_of_fewer_epochs_the_variance_leaves_the_first_out():
    assert compute_loss_variance([100.0, 1.0, 2.0, 3.0]) == pytest.approx(2 / 3)
    assert compute_loss_variance([100.0, *[1.0, 3.0] * 4]) == pytest.approx(1.0)  # nine epochs


@pytest.mark.parametrize("losses", [[0.5], [0.5, 0.25]])
def test_without_two_losses_there_is_no_variance(losses):
    assert compute_loss_variance(losses) is None


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [([1.0], 1), ([4.0, 2.0, 1.0], 3), ([4.0, 1.09, 1.0], 2), ([4.0, 1.11, 1.0], 3), ([0.5, 4.0, 1.0], 1)],
)
def test_convergence_is_the_first_loss_near_the_last(losses, epoch):
    assert compute_convergence_epoch(losses) == epoch
