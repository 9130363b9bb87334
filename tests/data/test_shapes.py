import itertools

import numpy as np
import pytest

from foresight.config import DataConfig
from foresight.data import load_splits, resolve_data
from foresight.data.canvas import BACKGROUNDS, COLOURS, SHAPES, TEXTURE
from foresight.data.image_set import hash_pixels
from foresight.data.shapes import MARGIN, STYLES, plan_drawings, render, render_masks


def config(**fields) -> DataConfig:
    return DataConfig(**{"n_train": 48, "n_val": 24, "n_test": 24, "image_px": 28} | fields)


def test_a_prefix_is_the_same_images_across_chunks(monkeypatch):
    whole = load_splits(config(n_train=60))["train"]
    monkeypatch.setattr("foresight.data.canvas.PIXELS_PER_CHUNK", 7 * 28**2)
    prefix = load_splits(config(n_train=25))["train"]
    for name in ("images", "targets", "masks", "boxes_xyxy", "sample_hash", "scene"):
        assert np.array_equal(getattr(prefix, name), getattr(whole, name)[:25]), name


def test_more_training_images_leave_val_and_test_alone():
    small, large = load_splits(config()), load_splits(config(n_train=200))
    for split in ("val", "test"):
        assert np.array_equal(small[split].images, large[split].images)
        assert np.array_equal(small[split].sample_hash, large[split].sample_hash)


def test_another_seed_gives_other_images():
    first, second = load_splits(config())["test"], load_splits(config(seed=1))["test"]
    assert not np.intersect1d(first.sample_hash, second.sample_hash).size


def test_every_machine_draws_these_bytes():
    # Generated images have no fingerprint in a trial's key. When this fails, numbers already in run logs were
    # measured on other images than new ones will be.
    test = load_splits(config(n_test=192))["test"]
    drawn = [hash_pixels(array) for array in (test.images, test.targets, test.masks, test.boxes_xyxy)]
    assert drawn == ["e778017846fa192b", "58ec3f8c5a89b55b", "84a9620f249a1bb7", "c85dd22c6e62fbcd"]


def test_every_24_images_hold_each_shape_in_each_colour():
    drawings = plan_drawings(0, "test", 24 * 20)
    pairs = list(zip(drawings.shape.tolist(), drawings.colour.tolist(), strict=True))
    everything = set(itertools.product(range(len(SHAPES)), range(len(COLOURS))))
    assert all(set(pairs[start : start + 24]) == everything for start in range(0, len(pairs), 24))
    assert pairs[:24] != pairs[24:48]


def test_every_192_images_hold_each_of_these_on_each_background():
    drawings = plan_drawings(3, "train", 384)
    triples = list(zip(drawings.shape, drawings.colour, drawings.ground.background, strict=True))
    assert len(set(triples[:192])) == len(set(triples[192:])) == 192


def test_every_colour_stands_out_from_every_background():
    for colour, ground in itertools.product(COLOURS.values(), BACKGROUNDS.values()):
        shades = [np.clip(np.array(ground) * (1 + sign * TEXTURE), 0, 255) for sign in (-1, 0, 1)]
        assert min(abs(np.array(colour) - shade).max() for shade in shades) > 255 / 4


def test_shapes_lie_inside_the_image_with_the_promised_sizes():
    boxes = load_splits(config(n_train=500))["train"].boxes_xyxy
    assert boxes.min() >= MARGIN - 1e-6
    assert boxes.max() <= 1 - MARGIN + 1e-6
    sides = boxes[:, 2:] - boxes[:, :2]
    assert 0.30 - 1e-6 <= sides.min() < 0.31
    assert 0.53 < sides.max() <= 0.54 + 1e-6


@pytest.mark.parametrize("px", [32, 64])
def test_boxes_are_the_bounds_of_the_masks(px):
    split = load_splits(config(n_train=240, target_px=px))["train"]
    for mask, box, scene in zip(split.masks, split.boxes_xyxy * px, split.scene, strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        bounds = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        off = abs(bounds - box)
        # A triangle is narrower than a pixel for one pixel below its apex, where no pixel centre need lie in it.
        assert off[[0, 2, 3]].max() <= 1
        assert off[1] <= (1.5 if scene == "triangle" else 1)


def test_areas_are_those_of_the_shapes():
    drawings = plan_drawings(0, "val", 48)
    area = render_masks(drawings, 256).mean(axis=(1, 2))
    of_box = area / (2 * drawings.half) ** 2
    expected = np.array([np.pi / 4, 1, 1 / 2])[drawings.shape]
    assert abs(of_box - expected).max() < 0.02


def test_inside_the_mask_is_the_colour_and_edges_are_blended():
    drawings = plan_drawings(0, "val", 24)
    images, masks = render(drawings, 56), render_masks(drawings, 56)
    colours = np.array(list(COLOURS.values()))[drawings.colour]
    is_colour = (images == colours[:, None, None]).all(-1)
    assert not (is_colour & ~masks).any()
    core = masks[:, 1:-1, 1:-1] & masks[:, :-2, 1:-1] & masks[:, 2:, 1:-1] & masks[:, 1:-1, :-2] & masks[:, 1:-1, 2:]
    assert is_colour[:, 1:-1, 1:-1][core].mean() > 0.95
    assert (masks & ~is_colour).any(axis=(1, 2)).all()


def test_image_and_target_show_the_same_picture():
    split = load_splits(config(image_px=112, target_px=56))["train"]
    halved = split.images.reshape(-1, 56, 2, 56, 2, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    assert abs(halved - split.targets).mean() < 1.5


def test_no_two_of_many_small_images_are_alike():
    split = load_splits(config(n_train=5000, n_val=500, n_test=500))
    hashes = np.concatenate([part.sample_hash for part in split.values()])
    assert len(np.unique(hashes)) == 6000


def test_generated_data_needs_no_resolving():
    assert resolve_data(config()) == config()


def test_big_shapes_lie_on_one_plain_background_that_every_colour_stands_out_from():
    split = load_splits(config(name="big_shapes", n_test=192, target_px=64))["test"]
    ground = np.array(BACKGROUNDS[STYLES["big_shapes"].background])
    pictures = split.targets.transpose(0, 2, 3, 1)
    assert (pictures[:, [0, -1]] == ground).all()
    assert (pictures[:, :, [0, -1]] == ground).all()
    differs = abs(pictures.astype(int) - ground).max(axis=-1) > 255 / 4
    overlap = (differs & split.masks).sum(axis=(1, 2)) / (differs | split.masks).sum(axis=(1, 2))
    assert overlap.mean() > 0.97  # a pixel at an edge that is half a pale colour may count as background
    assert overlap.min() > 0.8
    assert min(abs(np.array(colour) - ground).max() for colour in COLOURS.values()) > 0.4 * 255


def test_big_shapes_are_bigger_and_other_pictures_than_shapes():
    big = load_splits(config(name="big_shapes", n_train=500))["train"]
    sides = big.boxes_xyxy[:, 2:] - big.boxes_xyxy[:, :2]
    assert 0.44 - 1e-6 <= sides.min() < 0.45
    assert 0.67 < sides.max() <= 0.68 + 1e-6
    assert (plan_drawings(0, "train", 24, "big_shapes").x != plan_drawings(0, "train", 24).x).all()
    assert not np.intersect1d(big.sample_hash, load_splits(config(n_train=500))["train"].sample_hash).size


def test_every_machine_draws_these_bytes_of_big_shapes():
    test = load_splits(config(name="big_shapes", n_test=48))["test"]
    assert hash_pixels(test.images) == "037514c2b0c4986f"
