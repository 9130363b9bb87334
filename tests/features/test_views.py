"""Augmented views on their way from the store to the training loop."""

import numpy as np
import pytest
import torch
from test_stage import fill

from foresight.config import DataConfig, TrialConfig
from foresight.data import load_splits
from foresight.data.augment import AUGMENTATIONS, augment
from foresight.features.keys import dinov2_entry, images_entry, vlm_entry
from foresight.features.stage import StagedData, stage
from foresight.features.store import ArrayStore

BASE = TrialConfig(data=DataConfig(n_train=6, n_val=2, n_test=2, image_px=56))


def augmented(name: str) -> TrialConfig:
    return BASE.with_fields({"data.augmentation": name, "data.views": 3})


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> ArrayStore:
    store = ArrayStore(tmp_path_factory.mktemp("cache"))
    for config in (BASE, *map(augmented, AUGMENTATIONS)):
        fill(store, config)
    return store


@pytest.fixture(params=AUGMENTATIONS)
def name(request) -> str:
    return request.param


@pytest.fixture
def data(store, name) -> StagedData:
    return stage(augmented(name), store, "cpu")


def test_entries_hold_the_images_and_their_views(store, name):
    config = augmented(name)
    for key, _ in (vlm_entry(config.data, config.vlm), dinov2_entry(config.data, config.dinov2)):
        rows = store.load(key)
        assert [len(rows[split]) for split in ("train", "val", "test")] == [24, 2, 2]
        assert (rows["train"][6:12] != rows["train"][:6]).any()
    images = store.load(images_entry(config.data)[0])
    assert len(images["train-images"]) == 24
    assert len(images["train-sample_hash"]) == len(images["train-scene"]) == 6


def test_the_training_split_is_the_images_themselves(data):
    images = load_splits(BASE.data)["train"]
    assert len(data.train) == 6
    assert np.array_equal(data.train.targets_N3HW.numpy(), images.targets)
    assert data.train.masks_NHW.dtype == torch.bool
    assert np.array_equal(data.train.masks_NHW.numpy(), images.masks)
    assert np.array_equal(data.train.sample_hash, images.sample_hash)


def test_each_epoch_sees_its_own_view_and_the_views_come_round(data, name):
    config = augmented(name)
    images = load_splits(config.data)["train"]
    for epoch in range(1, 8):
        seen = data.train_view(epoch)
        made = augment(images, np.arange(6), config.data, (epoch - 1) % 3)
        assert len(seen) == 6
        assert np.array_equal(seen.targets_N3HW.numpy(), made["targets"])
        assert np.array_equal(seen.boxes_xyxy_N4.numpy(), made["boxes_xyxy"])
        masks = made["masks"] / 255 if name == "mixup" else made["masks"]
        assert np.allclose(seen.masks_NHW.float().numpy(), masks, atol=1e-3)
        assert np.array_equal(seen.sample_hash, images.sample_hash)
    assert data.train_view(4) is data.train_view(1) is not data.train_view(2)


def test_a_view_has_the_features_of_its_own_pictures(store, data, name):
    config = augmented(name)
    raw = torch.from_numpy(np.array(store.load(dinov2_entry(config.data, config.dinov2)[0])["train"])).double()
    plain = raw[:6]
    standardised = (raw - plain.mean(dim=(0, 1))) / plain.std(dim=(0, 1), unbiased=False)
    for number in range(3):
        tokens = data.train_view(number + 1).features.spatial_BSC
        expected = standardised[6 * (number + 1) : 6 * (number + 2)]
        assert torch.allclose(tokens.double(), expected, rtol=1e-2, atol=1e-2)
        assert not torch.equal(tokens, data.train.features.spatial_BSC)


def test_without_augmentation_every_epoch_sees_the_images(store):
    data = stage(BASE, store, "cpu")
    assert data.views == ()
    assert data.train_view(1) is data.train_view(2) is data.train


def test_only_mixed_views_have_soft_masks(data, name):
    soft = [view.masks_NHW.dtype == torch.float16 for view in data.views]
    assert soft == [name == "mixup"] * 3
    shares = {value for view in data.views for value in view.masks_NHW.float().unique().tolist()}
    assert (len(shares) > 2) == (name == "mixup")
    assert data.test.masks_NHW.dtype == data.val.masks_NHW.dtype == torch.bool


def test_features_have_the_scale_of_the_images_as_they_are(store, data):
    # Views have a spread of their own: mixed pictures are duller. It must not enter what all arms are measured with.
    plain = stage(BASE, store, "cpu")
    for split in ("train", "val", "test"):
        ours, theirs = getattr(data, split).features, getattr(plain, split).features
        assert torch.allclose(ours.spatial_BSC, theirs.spatial_BSC, rtol=0, atol=0.01)
        assert torch.allclose(ours.vlm_BVC, theirs.vlm_BVC, rtol=0, atol=0.01)
