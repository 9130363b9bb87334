"""Views of training images: what changes changes everywhere alike, and nothing depends on how many images there are."""

from dataclasses import replace

import numpy as np
import pytest

from foresight.config import DataConfig
from foresight.data import load_splits
from foresight.data.augment import AUGMENTATIONS, PARTNERS, PICTURE_ARRAYS, augment, encoded_rows
from foresight.data.image_set import ImageSet

SIZES = {"n_train": 12, "n_val": 2, "n_test": 2, "image_px": 56, "target_px": 32}


def config(name: str, **fields) -> DataConfig:
    return DataConfig(**SIZES | {"augmentation": name, "views": 2} | fields)


def train_set(data: DataConfig) -> ImageSet:
    return load_splits(data)["train"]


def view(
    name: str, number: int = 0, index=range(12), images: ImageSet | None = None, **fields
) -> dict[str, np.ndarray]:
    data = config(name, **fields)
    return augment(images or train_set(data), np.array(index), data, number)


def flat_set(greys: list[int], boxes=None, content=None) -> ImageSet:
    """Plain grey pictures of 56 px, each with an object in its left half."""
    n = len(greys)
    images = np.empty((n, 56, 56, 3), dtype=np.uint8)
    images[:] = np.array(greys, dtype=np.uint8)[:, None, None, None]
    targets = np.ascontiguousarray(images[:, :32, :32].transpose(0, 3, 1, 2))
    masks = np.zeros((n, 32, 32), dtype=bool)
    masks[:, :, :16] = True
    return ImageSet(
        "train", images, targets,
        np.ones((n, 32, 32), dtype=bool) if content is None else content,
        np.tile(np.array([0, 0, 1, 1], dtype=np.float32), (n, 1)),
        masks, np.tile(np.array([0, 0, 0.5, 1], dtype=np.float32), (n, 1)),
        np.array([f"{i:016x}" for i in range(n)]), np.array(["half"] * n),
    )  # fmt: skip


def test_the_table_is_what_the_config_allows():
    assert {"none", *AUGMENTATIONS} == set(DataConfig.model_fields["augmentation"].annotation.__args__)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_view_changes_picture_and_target_and_keeps_types_and_shapes(name):
    images, made = train_set(config(name)), view(name)
    assert set(made) == set(PICTURE_ARRAYS)
    for array, values in made.items():
        assert values.shape == getattr(images, array).shape, array
        if not (name == "mixup" and array == "masks"):
            assert values.dtype == getattr(images, array).dtype, array
    for array in ("images", "targets"):
        changed = (made[array] != getattr(images, array)).reshape(12, -1).any(axis=1)
        assert changed[1:].all(), array  # mixup has nothing to mix the first image with


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_view_is_the_same_again_and_another_view_or_seed_is_another(name):
    made = view(name)
    assert all(np.array_equal(made[array], values) for array, values in view(name).items())
    assert not np.array_equal(made["images"], view(name, number=1)["images"])
    same = train_set(config(name))
    assert not np.array_equal(made["images"], view(name, images=same, seed=1)["images"])


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_more_images_and_other_chunks_change_no_view(name):
    few, many = config(name), config(name, n_train=PARTNERS + 20)
    of_few = dict(view(name))
    of_many = augment(train_set(many), np.arange(PARTNERS + 20), many, 0)
    for array, values in of_few.items():
        assert np.array_equal(of_many[array][:12], values), array
        assert np.array_equal(augment(train_set(few), np.array([7, 3]), few, 0)[array], values[[7, 3]]), array


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_rows_that_are_encoded_are_the_images_and_then_every_view(name):
    data = config(name, views=3)
    images = train_set(data)
    rows = list(encoded_rows(images, data))
    assert rows[0][0] == 0
    arrays = {array: np.concatenate([chunk[array] for _, chunk in rows]) for array in PICTURE_ARRAYS}
    assert all(len(values) == data.n_train_rows == 48 for values in arrays.values())
    assert np.array_equal(arrays["images"][:12], images.images)
    assert np.array_equal(arrays["masks"][:12] > 0, images.masks)
    for number in range(3):
        for array, values in augment(images, np.arange(12), data, number).items():
            assert np.array_equal(arrays[array][12 * (number + 1) : 12 * (number + 2)], values)


@pytest.mark.parametrize("split", ["val", "test"])
def test_what_is_measured_on_is_never_augmented(split):
    data = config("mixup")
    images = load_splits(data)[split]
    ((start, chunk),) = encoded_rows(images, data)
    assert start == 0
    assert all(np.array_equal(chunk[array], getattr(images, array)) for array in PICTURE_ARRAYS)
    assert chunk["masks"].dtype == bool


def test_jitter_of_a_plain_picture_is_its_brightness_alone():
    # Contrast is about the mean, and a plain picture is its mean.
    made = view("colour_jitter", images=flat_set([100] * 60), index=range(60))
    greys = made["images"][:, 0, 0, 0]
    assert (made["images"] == greys[:, None, None, None]).all()
    assert (made["targets"] == greys[:, None, None, None]).all()
    assert 90 <= greys.min() < 94
    assert 106 < greys.max() <= 110


def test_jitter_of_contrast_keeps_the_mean_and_moves_the_rest_by_a_tenth_at_most():
    images = flat_set([60] * 60)
    images.images[:, :, 28:] = 160
    images.targets[..., 16:] = 160
    made = view("colour_jitter", images=images, index=range(60))
    dark, light = made["images"][:, 0, 0, 0].astype(float), made["images"][:, 0, -1, 0].astype(float)
    ratio = (light - dark) / 100 * 220 / (light + dark)  # contrast, the brightness divided out
    assert np.abs(ratio - 1).max() <= 0.1 + 0.02  # rounding to whole greys
    assert np.ptp(ratio) > 0.15
    assert np.array_equal(made["masks"], images.masks)


def test_padding_keeps_its_grey_and_has_no_part_in_the_mean():
    content = np.zeros((20, 32, 32), dtype=bool)
    content[:, 8:24] = True
    images = flat_set([100] * 20, content=content)
    images.content_xyxy[:] = [0, 0.25, 1, 0.75]
    images.images[:, :14], images.images[:, 42:] = 114, 114
    images.targets[:, :, :8], images.targets[:, :, 24:] = 114, 114
    made = view("colour_jitter", images=images, index=range(20))
    assert (made["images"][:, :14] == 114).all()
    assert (made["targets"][:, :, 24:] == 114).all()
    inside = made["images"][:, 14:42]
    assert (inside == inside[:, :1, :1, :1]).all()
    assert (inside[:, 0, 0, 0] != 100).any()


def test_a_crop_enlarges_everything_alike():
    images = flat_set([50] * 30)
    images.images[:, :, :28] = 200  # the object's half, x from 0 to 0.5
    images.targets[..., :16] = 200
    made = view("random_crop", images=images, index=range(30))
    edge = made["boxes_xyxy"][:, 2]  # where the object ends in the crop, known exactly
    assert np.ptp(edge) > 0.03
    assert (np.abs(edge - 0.5) < 0.06).all()  # a crop of 0.8 of the area moves it by 0.056 at most
    for array, side in (
        (made["images"][:, 20, :, 0] > 125, 56),
        (made["targets"][:, 0, 16] > 125, 32),
        (made["masks"][:, 9], 32),
    ):
        assert np.abs(array.sum(axis=1) / side - edge).max() <= 0.5 / side + 0.01
    assert made["content"].all()
    assert np.array_equal(made["content_xyxy"], images.content_xyxy)


def test_a_crop_takes_between_08_and_1_of_the_frame():
    images = flat_set([50] * 400)
    images.boxes_xyxy[:] = [0.45, 0.45, 0.55, 0.55]
    made = view("random_crop", images=images, index=range(400))
    area = (0.1 / (made["boxes_xyxy"][:, 2] - made["boxes_xyxy"][:, 0])) ** 2
    assert 0.8 <= area.min() < 0.81
    assert 0.99 < area.max() <= 1 + 1e-5


def test_padding_is_cropped_with_the_picture():
    content = np.zeros((20, 32, 32), dtype=bool)
    content[:, 8:24] = True
    images = flat_set([100] * 20, content=content)
    images.content_xyxy[:] = [0, 0.25, 1, 0.75]
    made = view("random_crop", images=images, index=range(20))
    heights = made["content"][:, :, 0].sum(axis=1) / 32
    exact = made["content_xyxy"][:, 3] - made["content_xyxy"][:, 1]
    assert np.abs(heights - exact).max() <= 1 / 32
    assert (exact > 0.5).all()


def test_a_mask_thinner_than_a_pixel_is_not_cropped_away():
    images = flat_set([100] * 40)
    images.masks[:] = False
    images.masks[:, 16, 16] = True
    assert view("random_crop", images=images, index=range(40))["masks"].any(axis=(1, 2)).all()


def test_mixup_mixes_pictures_and_masks_by_one_weight():
    images = flat_set([0, 200])
    images.masks[1] = ~images.masks[1]
    made = [view("mixup", number, images=images, index=[1]) for number in range(40)]
    for arrays in made:
        grey = arrays["images"][0, 0, 0, 0]
        weight = grey / 200  # of the second picture
        assert (arrays["targets"] == grey).all()
        assert arrays["masks"].dtype == np.uint8
        assert np.abs(arrays["masks"][0, :, 16:] / 255 - weight).max() <= 0.01
        assert np.abs(arrays["masks"][0, :, :16] / 255 - (1 - weight)).max() <= 0.01
    weights = np.array([arrays["images"][0, 0, 0, 0] / 200 for arrays in made])
    assert (weights < 0.1).sum() > 5  # Beta(0.4, 0.4) is near 0 or 1 most of the time
    assert (weights > 0.9).sum() > 5
    assert ((weights > 0.2) & (weights < 0.8)).sum() > 3


def test_a_mixture_takes_the_box_of_the_stronger_picture_and_the_room_of_both():
    images = flat_set([0, 200], content=np.zeros((2, 32, 32), dtype=bool))
    images.content[0, 8:24], images.content[1, :, 8:24] = True, True
    images.content_xyxy[:] = [[0, 0.25, 1, 0.75], [0.25, 0, 0.75, 1]]
    images.boxes_xyxy[1] = [0.5, 0, 1, 1]
    for number in range(10):
        made = view("mixup", number, images=images, index=[1])
        stronger = int(made["images"][0, 0, 0, 0] >= 100)
        assert np.array_equal(made["boxes_xyxy"][0], images.boxes_xyxy[stronger])
        assert np.array_equal(made["content"][0], images.content.any(axis=0))
        assert made["content_xyxy"][0].tolist() == [0, 0, 1, 1]


def test_partners_are_among_the_images_just_before():
    # Each picture is a grey of its own, so a mixture with weight near a half tells its partner.
    images = flat_set(list(range(200)))
    made = augment(images, np.arange(200), config("mixup"), 0)
    greys = made["images"][:, 0, 0, 0].astype(int)
    assert greys[0] == 0
    assert (greys <= np.arange(200)).all()
    assert (greys >= np.maximum(np.arange(200) - PARTNERS, 0)).all()
    assert (np.arange(200) - greys).max() > PARTNERS // 2


def test_the_source_is_left_as_it_was():
    images = train_set(config("mixup"))
    before = {array: getattr(images, array).copy() for array in PICTURE_ARRAYS}
    for name in AUGMENTATIONS:
        augment(images, np.arange(12), config(name), 0)
    assert all(np.array_equal(getattr(images, array), values) for array, values in before.items())
    assert replace(images).masks.dtype == bool
