"""Clips on the whole way from the data set to the staged tensors: a row is a frame, a sample is a clip."""

from pathlib import Path

import numpy as np
import pytest
import torch

from foresight.config import DataConfig, HeldoutConfig, TrialConfig
from foresight.data import load_clip_splits, load_splits, resolve_data
from foresight.features.extract import compute
from foresight.features.keys import readings
from foresight.features.requests import missing_requests, needed_entries
from foresight.features.stage import StagedData, stage
from foresight.features.store import ArrayStore

CLIPS = TrialConfig(data=DataConfig(name="clips", n_frames=4, n_train=3, n_val=1, n_test=2, image_px=56))
HELDOUT = TrialConfig(
    task="end_to_end",
    data=DataConfig(name="scenes", n_train=6, n_val=2, n_test=3, image_px=56),
    heldout=HeldoutConfig(clips=2),
)


def fill(store: ArrayStore, config: TrialConfig, roots: dict[str, Path] | None = None) -> ArrayStore:
    for requests in missing_requests([config], store):
        for request in requests:
            compute(request, store, roots)
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> ArrayStore:
    return fill(fill(ArrayStore(tmp_path_factory.mktemp("cache")), CLIPS), HELDOUT)


@pytest.fixture(scope="module")
def data(store) -> StagedData:
    return stage(CLIPS, store, "cpu")


@pytest.fixture
def folders(tmp_path, monkeypatch) -> dict[str, Path]:
    """A folder of each layout, large enough for one or two clips in each split."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "data")
    from clip_writer import DavisWriter, Ssv2Writer

    davis, ssv2 = DavisWriter(tmp_path / "davis"), Ssv2Writer(tmp_path / "ssv2")
    for number in range(3):
        davis.add("train", number)
        ssv2.add("train", number)
    for number in (3, 4):
        davis.add("val", number)
        ssv2.add("validation", number)
    return {"davis": davis.write(), "ssv2": ssv2.write()}


def test_the_frames_of_clips_are_pictures_in_order(data):
    clips = load_clip_splits(CLIPS.data)
    for split, n in (("train", 3), ("val", 1), ("test", 2)):
        staged = getattr(data, split)
        assert (len(staged), staged.n_samples, staged.n_frames) == (4 * n, n, 4)
        assert np.array_equal(staged.targets_N3HW.numpy(), clips[split].targets.reshape(-1, 3, 32, 32))
        assert np.array_equal(staged.masks_NHW.numpy(), clips[split].masks.reshape(-1, 32, 32))
        assert np.array_equal(staged.boxes_xyxy_N4.numpy(), clips[split].boxes_xyxy.reshape(-1, 4))
        assert list(staged.sample_hash) == list(clips[split].sample_hash)
        assert list(staged.scene) == list(clips[split].scene)
        assert len(staged.features) == 4 * n


def test_as_pictures_the_frames_are_not_copied():
    clips = load_clip_splits(CLIPS.data)["train"]
    pictures = clips.as_pictures()
    assert np.shares_memory(pictures.images, clips.frames)
    assert pictures.images.shape == (12, 56, 56, 3)


@pytest.mark.parametrize("name", ["davis", "ssv2"])
def test_a_folder_of_clips_is_staged_and_without_annotation_nothing_can_be_read_of_it(name, folders, tmp_path):
    wanted = DataConfig(name=name, n_frames=4, n_train=2, n_val=1, n_test=2, image_px=112)
    resolved = resolve_data(wanted, folders[name])
    config = TrialConfig(data=resolved)
    data = stage(config, fill(ArrayStore(tmp_path / "cache"), config, folders), "cpu")
    assert (len(data.test), data.test.n_samples) == (8, 2)
    assert data.test.has_masks == (name == "davis")
    assert not data.test.features.vlm_valid_BV.all()  # frames of 2:1 are letterboxed
    if name == "ssv2":
        assert data.test.masks_NHW.shape == (8, 0, 0)
        assert data.test.boxes_xyxy_N4.shape == (8, 0)


def test_a_further_set_is_read_beside_the_trials_own_data():
    own, clips = readings(HELDOUT).values()
    assert own.data == HELDOUT.data
    assert (clips.data.name, clips.data.n_test, clips.data.n_frames) == ("clips", 2, 9)
    assert len(needed_entries([HELDOUT])) == 6
    assert needed_entries([HELDOUT]) > needed_entries([own])


def test_a_further_set_is_staged_with_the_moments_of_what_is_trained_on(store):
    data = stage(HELDOUT, store, "cpu")
    clips = data.heldout["clips"]
    assert (len(clips), clips.n_samples, clips.n_frames) == (18, 2, 9)
    reading = readings(HELDOUT)["clips"]
    raw_key, own_key = (
        next(key for key in needed_entries([r]) if key.startswith("dinov2")) for r in (reading, readings(HELDOUT)[""])
    )
    train, raw = (
        torch.from_numpy(np.array(store.load(key)[split])).double()
        for key, split in ((own_key, "train"), (raw_key, "test"))
    )
    expected = (raw - train.mean(dim=(0, 1))) / train.std(dim=(0, 1), unbiased=False)
    assert torch.allclose(clips.features.spatial_BSC.double(), expected, rtol=1e-3, atol=1e-3)


def test_a_frame_that_is_trained_on_is_found_in_a_further_set(store, tmp_path):
    data = HELDOUT.data
    shown = load_splits(data)["train"].images[4]
    leaking = fill(ArrayStore(tmp_path), HELDOUT)
    key = next(key for key in needed_entries([readings(HELDOUT)["clips"]]) if key.startswith("images"))
    path = leaking.root / key / "test-images.npy"
    frames = np.load(path)
    frames[7] = shown
    np.save(path, frames)
    leaking._verified.add(key)  # the checksum would tell it first
    with pytest.raises(ValueError, match="the set 'clips' shows 1 pictures that are trained on or validated with"):
        stage(HELDOUT, leaking, "cpu")
