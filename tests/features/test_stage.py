from pathlib import Path

import numpy as np
import pytest
import torch

from foresight.config import DataConfig, TrialConfig
from foresight.data import SPLITS, load_splits, resolve_data
from foresight.features.extract import compute
from foresight.features.keys import dinov2_entry, vlm_entry
from foresight.features.requests import missing_requests
from foresight.features.stage import StagedData, stage
from foresight.features.store import ArrayStore

BASE = TrialConfig(data=DataConfig(n_train=8, n_val=2, n_test=2, image_px=56))


def fill(store: ArrayStore, config: TrialConfig, coco_root: Path | None = None) -> ArrayStore:
    for requests in missing_requests([config], store):
        for request in requests:
            compute(request, store, {"coco": coco_root} if coco_root else None)
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> ArrayStore:
    return fill(ArrayStore(tmp_path_factory.mktemp("cache")), BASE)


@pytest.fixture(scope="module")
def data(store) -> StagedData:
    return stage(BASE, store, "cpu")


@pytest.fixture
def coco_root(tmp_path, monkeypatch) -> Path:
    """Six wide photographs to train on and two tall ones to test on."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "data")
    from coco_writer import CocoWriter, outline, photograph

    writer = CocoWriter(tmp_path / "coco")
    for number in range(6):
        writer.add("train2017", f"{number}.png", photograph(number, 80, 40), outline(10, 10, 40, 20))
    for number in range(2):
        writer.add("val2017", f"{number}.png", photograph(100 + number, 40, 80), outline(10, 10, 20, 40))
    return writer.write()


def test_training_tokens_have_mean_0_and_variance_1_in_every_channel(data):
    for tokens in (data.train.features.vlm_BVC, data.train.features.spatial_BSC):
        channels = tokens.double().flatten(0, 1)
        assert channels.mean(dim=0).abs().max() < 1e-3
        assert (channels.var(dim=0, unbiased=False) - 1).abs().max() < 5e-3


def test_all_splits_are_standardised_by_the_training_split_alone(store, data):
    key = dinov2_entry(BASE.data, BASE.dinov2)[0]
    raw = {split: torch.from_numpy(np.array(store.load(key)[split])).double() for split in SPLITS}
    mean, std = raw["train"].mean(dim=(0, 1)), raw["train"].std(dim=(0, 1), unbiased=False)
    for split in SPLITS:
        staged = getattr(data, split).features.spatial_BSC
        assert torch.allclose(staged.double(), (raw[split] - mean) / std, rtol=1e-3, atol=1e-3)


def test_staging_leaves_the_store_as_it_was(store):
    stage(BASE, store, "cpu")
    ArrayStore(store.root).load(vlm_entry(BASE.data, BASE.vlm)[0])  # verifies the checksums


def test_images_without_padding_need_no_mask(data):
    for split in SPLITS:
        features = getattr(data, split).features
        assert features.vlm_valid_BV is None
        assert features.spatial_valid_BS is None


def test_staged_arrays_are_those_of_the_data_set(data):
    for split, images in load_splits(BASE.data).items():
        staged = getattr(data, split)
        assert len(staged) == len(images)
        assert np.array_equal(staged.targets_N3HW.numpy(), images.targets)
        assert np.array_equal(staged.masks_NHW.numpy(), images.masks)
        assert np.array_equal(staged.content_NHW.numpy(), images.content)
        assert np.array_equal(staged.boxes_xyxy_N4.numpy(), images.boxes_xyxy)
        assert np.array_equal(staged.sample_hash, images.sample_hash)
        assert np.array_equal(staged.scene, images.scene)


def test_all_objects_are_staged_with_no_more_padding_than_an_image_needs(tmp_path):
    config = BASE.with_fields({"data.name": "scenes", "data.n_val": 3, "streams": "dinov2"})
    staged = stage(config, fill(ArrayStore(tmp_path), config), "cpu")
    for split, images in load_splits(config.data).items():
        objects, given = getattr(staged, split).objects, images.objects
        most = given.n_objects.max()
        assert objects.classes_NK.shape[1] == most
        assert np.array_equal(objects.classes_NK.numpy(), given.classes[:, :most])
        assert np.array_equal(objects.boxes_xyxy_NK4.numpy(), given.boxes_xyxy[:, :most])
        assert objects.class_names == given.class_names
        assert np.array_equal(objects.is_object.sum(dim=1).numpy(), given.n_objects)
    assert len(staged.val.objects) == 3
    assert (
        staged.val.objects[torch.tensor([2, 0])].classes_NK.tolist() == staged.val.objects.classes_NK[[2, 0]].tolist()
    )


def test_images_of_one_object_without_a_class_have_no_objects(data):
    assert data.train.objects is data.test.objects is None


def test_the_encoders_frozen_parameters_are_counted_together(store, data):
    entries = vlm_entry(BASE.data, BASE.vlm), dinov2_entry(BASE.data, BASE.dinov2)
    assert data.n_encoder_params == sum(store.content(key)["n_params"] for key, _ in entries) > 0


def test_an_entry_that_was_not_computed_is_named(store):
    with pytest.raises(KeyError, match="no entry dinov2-G-"):
        stage(BASE.with_fields({"dinov2.size": "G"}), store, "cpu")


def test_features_are_kept_in_half_and_used_in_single_precision(data):
    assert data.train.features.vlm_BVC.dtype == data.train.features.spatial_BSC.dtype == torch.float16
    batch = data.train.features[torch.tensor([3, 1])]
    assert batch.vlm_BVC.dtype == batch.spatial_BSC.dtype == torch.float32
    assert torch.equal(batch.vlm_BVC, data.train.features.vlm_BVC[[3, 1]].float())


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_letterbox_padding_is_marked_and_has_no_part_in_standardising(coco_root, tmp_path):
    wanted = DataConfig(name="coco", n_train=5, n_val=1, n_test=2, image_px=112)
    config = BASE.with_fields({f"data.{k}": v for k, v in resolve_data(wanted, coco_root).model_dump().items()})
    data = stage(config, fill(ArrayStore(tmp_path / "cache"), config, coco_root), "cpu")
    for grid, of in ((4, "vlm"), (8, "spatial")):
        middle = torch.zeros(grid, grid, dtype=torch.bool)
        middle[grid // 4 : -grid // 4] = True  # a picture of 2:1 fills the middle half
        for split, expected in (("train", middle), ("val", middle), ("test", middle.T)):
            features = getattr(data, split).features
            valid = features.vlm_valid_BV if of == "vlm" else features.spatial_valid_BS
            assert torch.equal(valid, expected.flatten().expand(len(valid), -1))
            assert torch.equal(features[torch.tensor([0])].vlm_valid_BV, features.vlm_valid_BV[:1])
        train = data.train.features
        tokens, valid = (
            (train.vlm_BVC, train.vlm_valid_BV) if of == "vlm" else (train.spatial_BSC, train.spatial_valid_BS)
        )
        inside, everything = tokens[valid].double(), tokens.double().flatten(0, 1)
        assert inside.mean(dim=0).abs().max() < 1e-3
        assert (inside.var(dim=0, unbiased=False) - 1).abs().max() < 5e-3
        assert everything.mean(dim=0).abs().max() > 0.1  # grey padding differs from pictures
