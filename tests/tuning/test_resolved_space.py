import pytest

from foresight.claim import Claim
from foresight.config import DataConfig, TrainConfig, TrialConfig
from foresight.errors import RequestError
from foresight.space import Factor, SearchSpace
from foresight.tuning import sweep
from foresight.tuning.sweep import Sweep, resolve_space

CLAIM = Claim("?", primary="mask_iou", margin=0.02, alpha=0.05, seeds=2)


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        (TrainConfig(epochs=10), (40, None)),
        (TrainConfig(epochs=10, schedule="plateau", patience=3), (40, 12)),
    ],
)
def test_a_folder_with_a_quarter_of_the_images_is_trained_on_for_four_times_the_epochs(monkeypatch, train, expected):
    baseline = TrialConfig(data=DataConfig(n_train=1000), train=train)
    space = SearchSpace(baseline, (Factor("rate", "train.lr", (baseline.train.lr, 1e-3)),))
    monkeypatch.setattr(sweep, "resolve_data", lambda data, root: data.model_copy(update={"n_train": 250}))
    resolved = resolve_space(Sweep("small", "?", lambda scale: space, CLAIM), "tiny", None, {}).baseline
    assert resolved.data.n_train == 250
    assert (resolved.train.epochs, resolved.train.patience) == expected


def test_a_factor_over_more_images_than_the_folder_holds_is_refused(monkeypatch):
    space = SearchSpace(TrialConfig(data=DataConfig(n_train=512)), (Factor("images", "data.n_train", (512, 128)),))
    monkeypatch.setattr(sweep, "resolve_data", lambda data, root: data.model_copy(update={"n_train": 72}))
    with pytest.raises(
        RequestError, match=r"varies 'data.n_train' over 512, 128, and 'shapes' has 72 here; it needs 512"
    ):
        resolve_space(Sweep("small", "?", lambda scale: space, CLAIM), "tiny", None, {})


def test_clips_in_the_place_of_pictures_are_fewer_by_their_frames():
    space = SearchSpace(TrialConfig(data=DataConfig(n_train=512), train=TrainConfig(epochs=4)), ())
    resolved = resolve_space(Sweep("small", "?", lambda scale: space, CLAIM), "tiny", "clips", {}).baseline
    assert (resolved.data.n_train, resolved.data.n_frames, resolved.train.epochs) == (56, 9, 4)
