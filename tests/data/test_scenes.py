import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from foresight.config import DataConfig
from foresight.data import DATASETS, SPLITS, prove_disjoint
from foresight.data.canvas import COLOURS as RGB
from foresight.data.canvas import SHAPES, shape_distance
from foresight.data.image_set import hash_pixels
from foresight.data.scenes import CLASSES, COLOURS, MARGIN, Scenes, plan_scenes, render, render_instances


def load(**fields):
    config = DataConfig(**{"n_train": 48, "n_val": 24, "n_test": 24, "image_px": 28} | fields)
    return DATASETS["scenes"].load(config, None)


def visible_and_whole(scenes: Scenes, px: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels seen of each object, and those it would show alone: two int arrays [objects]."""
    instances = render_instances(scenes, px)
    seen, whole = [], []
    for k in range(4):
        shape = scenes.classes[:, k] // 4
        whole.append((shape_distance(shape, scenes.x[:, k], scenes.y[:, k], scenes.half[:, k], px) <= 0).sum((1, 2)))
        seen.append((instances == k + 1).sum((1, 2)))
    there = scenes.classes >= 0
    return np.stack(seen, 1)[there], np.stack(whole, 1)[there]


def test_a_prefix_is_the_same_images_across_chunks(monkeypatch):
    whole = load(n_train=60)["train"]
    monkeypatch.setattr("foresight.data.canvas.PIXELS_PER_CHUNK", 7 * 28**2)
    prefix = load(n_train=25)["train"]
    for name in ("images", "targets", "masks", "boxes_xyxy", "sample_hash", "scene"):
        assert np.array_equal(getattr(prefix, name), getattr(whole, name)[:25]), name
    for name in ("boxes_xyxy", "classes", "n_objects", "instances"):
        assert np.array_equal(getattr(prefix.objects, name), getattr(whole.objects, name)[:25]), name


def test_splits_and_seeds_share_no_image():
    sets = load(n_train=3000, n_val=500, n_test=500)
    prove_disjoint(sets)
    assert list(sets) == list(SPLITS)
    assert len(np.unique(np.concatenate([part.sample_hash for part in sets.values()]))) == 4000
    assert not np.intersect1d(sets["test"].sample_hash, load(seed=1)["test"].sample_hash).size


def test_every_machine_draws_these_bytes():
    # Generated images have no fingerprint in a trial's key. When this fails, numbers already in run logs were
    # measured on other images than new ones will be.
    test = load(n_test=96)["test"]
    arrays = (test.images, test.targets, test.masks, test.objects.instances, test.objects.boxes_xyxy)
    assert [hash_pixels(array) for array in arrays] == [
        "cccbf3af929be102",
        "698915f0f583d2a3",
        "d4c54c6b4b4b23c6",
        "636fd3b49de74ec0",
        "29c7a02f12ded865",
    ]


def test_one_to_four_objects_in_turn_and_the_scene_says_so():
    test = load()["test"]
    assert test.objects.n_objects[:6].tolist() == [1, 2, 3, 4, 1, 2]
    assert test.scene[:4].tolist() == ["1 object", "2 objects", "3 objects", "4 objects"]


def test_every_combination_occurs_equally_often_at_every_place():
    classes = plan_scenes(0, "train", 12 * 50).classes
    assert CLASSES[0] == "red circle"
    assert CLASSES[5] == "green square"  # shape * 4 + colour
    assert len(CLASSES) == len(SHAPES) * len(COLOURS)
    assert all(sorted(classes[start : start + 12, 0]) == list(range(12)) for start in range(0, 600, 12))
    n_each = Counter(classes[classes >= 0].tolist())
    assert sorted(n_each) == list(range(12))
    assert max(n_each.values()) < 1.3 * min(n_each.values())


def test_backgrounds_tell_nothing_about_number_or_class():
    scenes = plan_scenes(0, "train", 9600)
    for labels, n_labels in ((scenes.n_objects - 1, 4), (scenes.classes[:, 0], 12)):
        n_together = np.zeros((8, n_labels))
        np.add.at(n_together, (scenes.ground.background, labels), 1)
        expected = len(labels) / n_together.size
        assert abs(n_together - expected).max() < 5 * expected**0.5  # five standard deviations of a cell


def test_objects_lie_inside_the_image_with_the_promised_sizes():
    objects = load(n_train=2000)["train"].objects
    boxes = objects.boxes_xyxy[objects.classes >= 0]
    assert boxes.min() >= MARGIN - 1e-6
    assert boxes.max() <= 1 - MARGIN + 1e-6
    sides = boxes[:, 2:] - boxes[:, :2]
    assert 0.15 - 1e-6 <= sides.min() < 0.151
    assert 0.299 < sides.max() <= 0.3 + 1e-6
    assert (objects.boxes_xyxy[objects.classes < 0] == 0).all()


def test_some_objects_are_partly_covered_and_none_is_hidden():
    seen, whole = visible_and_whole(plan_scenes(0, "train", 4000), 64)
    share = seen / whole
    assert 0.05 < (share < 1).mean() < 0.2
    assert np.quantile(share, 0.01) > 0.7
    assert share.min() > 0.05


def test_a_covered_box_stays_whole_and_its_mask_does_not():
    one = plan_scenes(0, "train", 1)
    centre = np.array([[0.4, 0.5, 0, 0]], dtype=np.float32)
    scenes = replace(
        one,
        n_objects=np.array([2]),
        classes=np.array([[CLASSES.index("red square"), CLASSES.index("blue square"), -1, -1]]),
        half=np.full((1, 4), 0.125, dtype=np.float32),
        x=centre,
        y=np.full((1, 4), 0.5, dtype=np.float32),
    )
    instances = render_instances(scenes, 40)[0]  # red: columns 11 to 21; blue: 15 to 25, drawn later
    assert np.flatnonzero((instances == 1).any(0)).tolist() == list(range(11, 15))
    assert np.flatnonzero((instances == 2).any(0)).tolist() == list(range(15, 25))
    assert np.flatnonzero((instances > 0).any(1)).tolist() == list(range(15, 25))
    picture = render(scenes, 40)[0]
    assert (picture[18, 12] == RGB["red"]).all()
    assert (picture[18, 18] == RGB["blue"]).all()


@pytest.mark.parametrize("px", [32, 64])
def test_uncovered_boxes_are_the_bounds_of_their_masks(px):
    scenes = plan_scenes(0, "val", 240)
    objects = load(n_val=240, target_px=px)["val"].objects
    masks = objects.visible_masks(slice(None))
    n_checked = 0
    for i, k in itertools.product(range(240), range(4)):
        last = k == objects.n_objects[i] - 1  # nothing is drawn over the last one
        if not last:
            continue
        rows, columns = np.flatnonzero(masks[i, k].any(1)), np.flatnonzero(masks[i, k].any(0))
        bounds = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        off = abs(bounds - objects.boxes_xyxy[i, k] * px)
        # A triangle is narrower than a pixel for one pixel below its apex, where no pixel centre need lie in it.
        assert off[[0, 2, 3]].max() <= 1
        assert off[1] <= (1.5 if scenes.classes[i, k] // 4 == list(SHAPES).index("triangle") else 1)
        n_checked += 1
    assert n_checked == 240


def test_mask_and_box_of_a_picture_are_those_of_all_its_objects():
    train = load(n_train=200)["train"]
    assert np.array_equal(train.masks, train.objects.visible_masks(slice(None)).any(1))
    for row, (n_objects, box) in enumerate(zip(train.objects.n_objects, train.boxes_xyxy, strict=True)):
        own = train.objects.boxes_xyxy[row, :n_objects]
        assert box.tolist() == [*own[:, :2].min(0), *own[:, 2:].max(0)]


def test_each_object_shows_the_colour_of_its_class():
    scenes = plan_scenes(0, "test", 48)
    pictures, instances = render(scenes, 112), render_instances(scenes, 112)
    for i, k in zip(*np.nonzero(scenes.classes >= 0), strict=True):
        colour = RGB[CLASSES[scenes.classes[i, k]].split()[0]]
        seen = instances[i] == k + 1
        assert (pictures[i][seen] == colour).all(-1).mean() > 0.6  # the rest is the blended edge
