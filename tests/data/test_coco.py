import os
from pathlib import Path

import numpy as np
import pytest
from coco_writer import outline, photograph
from PIL import Image
from pycocotools import mask as run_lengths

from foresight.config import DataConfig
from foresight.data import ImageSet, load_splits, resolve_data
from foresight.data.image_set import hash_pixels
from foresight.data.letterbox import PADDING_GREY

# pycocotools hands numpy its run lengths in a way that numpy 2 will give up; the arrays are right.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL = {"name": "coco", "image_px": 28, "target_px": 32}


def load(root: Path, **fields) -> dict[str, ImageSet]:
    return load_splits(resolve_data(DataConfig(**SMALL, **fields), root), root)


def row_of(split: ImageSet, picture: Image.Image) -> int:
    (row,) = np.flatnonzero(split.sample_hash == hash_pixels(np.asarray(picture.convert("RGB"))))
    return row


def block(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """A 32 x 32 mask of one rectangle."""
    mask = np.zeros((32, 32), dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


@pytest.fixture
def objects(coco):
    """Three test images with worked-out objects, three that must be skipped, and two to train on."""
    wide, tall, square = photograph(1, 80, 40), photograph(2, 30, 60, "L"), photograph(3, 64, 64, "CMYK")
    whole_crowd = outline(0, 0, 30, 60, iscrowd=1, segmentation={"counts": [0, 1800], "size": [60, 30]})
    left_half = outline(0, 0, 15, 60, segmentation={"counts": [0, 900, 900], "size": [60, 30]}, category_id=2)
    corner = np.zeros((64, 64), dtype=np.uint8, order="F")
    corner[48:, 32:] = 1
    coded = run_lengths.encode(corner)
    coded["counts"] = coded["counts"].decode()
    coco.add("val2017", "wide.png", wide, outline(0, 0, 5, 5, category_id=2), outline(20, 10, 40, 20))
    coco.add("val2017", "tall.png", tall, whole_crowd, left_half)
    coco.add("val2017", "square.jpg", square, outline(32, 48, 32, 16, segmentation=coded))
    coco.add("val2017", "bare.png", photograph(4, 40, 40))
    coco.add("val2017", "crowd.png", photograph(5, 30, 60), whole_crowd)
    coco.add("val2017", "flat.png", photograph(6, 40, 40), outline(5, 5, 10, 10, area=0))
    for number in (7, 8):
        coco.add("train2017", f"{number}.png", photograph(number, 40, 40), outline(0, 0, 20, 20))
    root = coco.write()
    return load(root)["test"], wide, tall, Image.open(root / "val2017" / "square.jpg")


def test_images_without_a_usable_object_are_skipped(objects):
    assert len(objects[0]) == 3


def test_polygon_of_a_wide_picture(objects):
    test, wide, _, _ = objects
    row = row_of(test, wide)  # 80 x 40 in 32 x 32: scale 0.4, rows 8 to 24
    assert np.array_equal(test.content[row], block(0, 8, 32, 24))
    assert test.content_xyxy[row].tolist() == [0, 0.25, 1, 0.75]
    assert np.array_equal(test.masks[row], block(8, 12, 24, 20))
    assert test.boxes_xyxy[row].tolist() == [0.25, 0.375, 0.75, 0.625]
    assert test.scene[row] == "animal"
    assert (test.targets[row][:, ~test.content[row]] == PADDING_GREY).all()
    assert (test.images[row][:7] == PADDING_GREY).all()
    assert test.images[row][7:21].std() > 10


def test_run_lengths_of_a_tall_grey_picture_beside_a_larger_crowd(objects):
    test, _, tall, _ = objects
    row = row_of(test, tall)
    assert np.array_equal(test.content[row], block(8, 0, 24, 32))
    assert np.array_equal(test.masks[row], block(8, 0, 16, 32))
    assert test.boxes_xyxy[row].tolist() == [0.25, 0, 0.5, 1]
    assert test.scene[row] == "vehicle"
    assert np.ptp(test.images[row].astype(int), axis=-1).max() == 0  # grey stays grey


def test_compressed_run_lengths_of_a_cmyk_picture(objects):
    test, _, _, square = objects
    row = row_of(test, square)
    assert test.content[row].all()
    assert np.array_equal(test.masks[row], block(16, 24, 32, 32))
    assert test.boxes_xyxy[row].tolist() == [0.5, 0.75, 1, 1]


def test_an_outline_thinner_than_a_pixel_still_has_a_mask(coco):
    for number in range(3):
        coco.add("val2017", f"{number}.png", photograph(number, 320, 320), outline(100.1, 50, 0.2, 0.2))
    assert all((split.masks.sum(axis=(1, 2)) == 1).all() for split in load(coco.write()).values())


def test_turning_marks_are_not_followed(coco):
    exif = Image.Exif()
    exif[0x0112] = 6  # show turned by 90 degrees
    for number in range(3):
        coco.add("val2017", f"{number}.png", photograph(number, 40, 20), outline(0, 0, 40, 10))
    root = coco.write()
    for path in (root / "val2017").iterdir():
        Image.open(path).save(path, exif=exif)
    assert load(root)["test"].content_xyxy.tolist() == [[0, 0.25, 1, 0.75]]


def test_test_comes_from_val2017_and_val_from_train2017(coco_root):
    sets = load(coco_root)
    assert {name: len(split) for name, split in sets.items()} == {"train": 11, "val": 1, "test": 3}
    assert (sets["test"].content_xyxy[:, 0] == 0.125).all()  # tall, as val2017
    assert (sets["train"].content_xyxy[:, 1] == 0.125).all()
    assert (sets["val"].content_xyxy[:, 1] == 0.125).all()


def test_one_folder_alone_gives_all_three_splits(coco):
    for number in range(20):
        coco.add("val2017", f"{number}.png", photograph(number, 40, 40), outline(5, 5, 10, 20))
    sets = load(coco.write())
    assert {name: len(split) for name, split in sets.items()} == {"train": 14, "val": 2, "test": 4}


def test_more_training_images_leave_the_others_and_the_first_ones_alone(coco_root):
    small, large = load(coco_root, n_train=4), load(coco_root, n_train=9)
    assert np.array_equal(small["train"].sample_hash, large["train"].sample_hash[:4])
    for split in ("val", "test"):
        assert np.array_equal(small[split].images, large[split].images)


def test_another_seed_chooses_other_images(coco_root):
    chosen = [set(load(coco_root, n_train=3, seed=seed)["train"].sample_hash) for seed in range(4)]
    assert len(set(map(frozenset, chosen))) > 1


def test_a_copied_picture_stays_in_test_only(coco):
    for number in range(12):
        coco.add("train2017", f"{number}.png", photograph(number, 40, 40), outline(5, 5, 20, 10))
    coco.add("train2017", "again.png", photograph(3, 40, 40), outline(0, 0, 20, 20))
    coco.add("val2017", "copy.png", photograph(0, 40, 40), outline(5, 5, 20, 10))
    coco.add("val2017", "other.png", photograph(50, 40, 40), outline(5, 5, 20, 10))
    root = coco.write()
    config = resolve_data(DataConfig(**SMALL), root)
    sets = load_splits(config, root)
    assert config.n_train + config.n_val == 11  # 13 files less the copy of a test image and the repeated one
    assert (config.n_train, config.n_val, config.n_test) == tuple(map(len, sets.values()))
    assert hash_pixels(np.asarray(photograph(0, 40, 40))) in sets["test"].sample_hash


@pytest.fixture(scope="session")
def coco_tiny() -> Path:
    if "FORESIGHT_COCO_TINY" not in os.environ:
        pytest.skip("no real photographs here: set FORESIGHT_COCO_TINY to a folder in COCO's layout")
    return Path(os.environ["FORESIGHT_COCO_TINY"])


@pytest.mark.coco_tiny
def test_real_photographs(coco_tiny):
    config = resolve_data(DataConfig(name="coco", n_train=12, n_val=4, n_test=12, target_px=64), coco_tiny)
    sets = load_splits(config, coco_tiny)
    assert [len(split) for split in sets.values()] == [12, 4, 12]
    for split in sets.values():
        assert not (split.masks & ~split.content).any()
        for mask, box in zip(split.masks, split.boxes_xyxy * 64, strict=True):
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            bounds = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            # Thin ends of an object fall below half cover: the mask may end before its box, never after.
            assert (bounds[:2] >= box[:2] - 1.1).all()
            assert (bounds[2:] <= box[2:] + 1.1).all()
            assert mask.sum() <= np.prod(box[2:] - box[:2] + 2)
