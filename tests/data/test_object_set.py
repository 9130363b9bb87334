import json
from dataclasses import replace

import numpy as np
import pytest
from coco_writer import outline, photograph

from foresight.config import DataConfig
from foresight.data import ObjectSet, load_splits, resolve_data
from foresight.data.coco_folder import MOST_OBJECTS
from foresight.errors import RequestError

# pycocotools hands numpy its run lengths in a way that numpy 2 will give up; the arrays are right.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CONFIG = DataConfig(name="coco", image_px=28)


@pytest.fixture
def objects() -> ObjectSet:
    """Two pictures with one and two objects."""
    return ObjectSet(
        boxes_xyxy=np.zeros((2, 3, 4), dtype=np.float32),
        classes=np.array([[1, -1, -1], [0, 1, -1]]),
        n_objects=np.array([1, 2]),
        class_names=("cat", "bus"),
        instances=np.array([[[0, 1], [1, 1]], [[2, 0], [0, 1]]], dtype=np.uint8),
    )


def load(root, split="test"):
    return load_splits(resolve_data(CONFIG, root), root)[split]


def test_visible_masks_are_one_for_each_object_and_empty_in_padding(objects):
    masks = objects.visible_masks(slice(None))
    assert masks.shape == (2, 3, 2, 2)
    assert masks[0].astype(int).tolist() == [[[0, 1], [1, 1]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]]
    assert masks[1].astype(int).tolist() == [[[0, 0], [0, 1]], [[1, 0], [0, 0]], [[0, 0], [0, 0]]]
    assert np.array_equal(objects.visible_masks(np.array([1])), masks[1:])


def test_arrays_of_another_shape_or_type_are_refused(objects):
    with pytest.raises(ValueError, match=r"'boxes_xyxy' of the objects must be f4 \[2, 3, 4\], not f8 \[2, 3, 4\]"):
        replace(objects, boxes_xyxy=objects.boxes_xyxy.astype(float))
    with pytest.raises(ValueError, match=r"'instances' of the objects must be u1"):
        replace(objects, instances=objects.instances.astype(int))


@pytest.mark.parametrize(
    "classes", [[[1, 0, -1], [0, 1, -1]], [[-1, 1, -1], [0, 1, -1]], [[2, -1, -1], [0, 1, -1]]], ids=str
)
def test_classes_that_contradict_the_number_of_objects_or_of_names_are_refused(objects, classes):
    with pytest.raises(ValueError, match="'classes' must be 0 to 1 in the first 'n_objects' places and -1 after"):
        replace(objects, classes=np.array(classes))


def test_an_image_set_refuses_objects_of_another_number_of_images(objects):
    test = load_splits(DataConfig(n_train=1, n_val=1, n_test=3, image_px=28))["test"]
    with pytest.raises(ValueError, match="the test split has 3 images but objects of 2"):
        replace(test, objects=objects)


def test_photographs_list_their_usable_objects_largest_first(coco):
    crowd = outline(0, 0, 80, 40, iscrowd=1, segmentation={"counts": [0, 3200], "size": [40, 80]})
    small, large = outline(0, 0, 8, 8, category_id=2), outline(20, 10, 40, 20)
    coco.add("val2017", "0.png", photograph(0, 80, 40), small, crowd, large)
    for number in (1, 2):
        coco.add("train2017", f"{number}.png", photograph(number, 40, 40), outline(0, 0, 20, 20, category_id=2))
    test = load(coco.write())
    assert test.objects.class_names == ("cat", "bus")
    assert test.objects.n_objects.tolist() == [2]
    assert test.objects.classes[0, :3].tolist() == [0, 1, -1]
    # 80 x 40 in a square of 80: 20 px above it.
    assert test.objects.boxes_xyxy[0, 0].tolist() == [0.25, 0.375, 0.75, 0.625]
    assert np.allclose(test.objects.boxes_xyxy[0, 1], [0, 0.25, 0.1, 0.35])
    assert not test.objects.boxes_xyxy[0, 2:].any()
    assert np.array_equal(test.boxes_xyxy[0], test.objects.boxes_xyxy[0, 0])


def test_of_a_crowded_photograph_the_largest_objects_are_kept(coco):
    crowded = [outline(0, 0, 1 + number / 2, 20) for number in range(MOST_OBJECTS + 3)]
    coco.add("val2017", "0.png", photograph(0, 40, 40), *crowded)
    for number in (1, 2):
        coco.add("train2017", f"{number}.png", photograph(number, 40, 40), outline(0, 0, 20, 20))
    objects = load(coco.write()).objects
    assert objects.n_objects.tolist() == [MOST_OBJECTS]
    widths = (objects.boxes_xyxy[0, :, 2] - objects.boxes_xyxy[0, :, 0]) * 40
    assert np.allclose(widths, 1 + np.arange(MOST_OBJECTS + 2, 2, -1) / 2)


def test_category_ids_with_gaps_become_contiguous(coco_root):
    for path in (coco_root / "annotations").iterdir():
        table = json.loads(path.read_text())
        table["categories"] = [{"id": 90, "name": "toothbrush"}, {"id": 13, "name": "stop sign"}]
        for annotation in table["annotations"]:
            annotation["category_id"] = 90
        path.write_text(json.dumps(table))
    objects = load(coco_root).objects
    assert objects.class_names == ("stop sign", "toothbrush")
    assert set(objects.classes[:, 0].tolist()) == {1}


def test_annotation_files_that_disagree_on_a_category(coco_root):
    path = coco_root / "annotations" / "instances_val2017.json"
    path.write_text(path.read_text().replace('"bus"', '"tram"'))
    with pytest.raises(RequestError, match="disagree on category 2: 'bus' and 'tram'"):
        resolve_data(CONFIG, coco_root)
