"""What a folder's owner is told when it cannot be used, and what the fingerprint of a usable one answers to."""

import json
import os
import shutil

import pytest
from coco_writer import outline, photograph
from PIL import Image

from foresight.config import DataConfig
from foresight.data import load_splits, resolve_data
from foresight.errors import RequestError

# pycocotools hands numpy its run lengths in a way that numpy 2 will give up; the arrays are right.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CONFIG = DataConfig(name="coco", image_px=28, n_train=5, n_val=1, n_test=2)


def edit(root, folder, change):
    path = root / "annotations" / f"instances_{folder}.json"
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def refusal(root, config=CONFIG, ask=resolve_data) -> str:
    with pytest.raises(RequestError) as caught:
        ask(config, root)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_counts_are_clipped_to_what_the_folder_holds(coco_root):
    resolved = resolve_data(DataConfig(name="coco", n_train=512, n_val=64, n_test=2), coco_root)
    assert (resolved.n_train, resolved.n_val, resolved.n_test) == (11, 1, 2)
    assert resolve_data(resolved, coco_root) == resolved


def test_the_fingerprint_is_the_same_wherever_the_folder_stands(coco_root, tmp_path):
    copied = shutil.copytree(coco_root, tmp_path / "elsewhere" / "copy")
    (copied / "val2017" / "notes.txt").write_text("not an image of the annotations")
    first, second = resolve_data(CONFIG, coco_root), resolve_data(CONFIG, copied)
    assert first == second
    assert len(first.fingerprint) == 16


def test_the_fingerprint_answers_to_annotations_and_images(coco_root):
    fingerprints = [resolve_data(CONFIG, coco_root).fingerprint]
    edit(coco_root, "train2017", lambda table: table["annotations"][0].update(category_id=2))
    fingerprints.append(resolve_data(CONFIG, coco_root).fingerprint)
    Image.new("RGB", (30, 40)).save(coco_root / "val2017" / "0.png")
    fingerprints.append(resolve_data(CONFIG, coco_root).fingerprint)
    assert len(set(fingerprints)) == 3


def test_a_plan_opens_no_image(coco_root, monkeypatch):
    monkeypatch.setattr(Image, "open", None)
    resolve_data(CONFIG, coco_root)


def test_no_folder_given():
    assert "needs the folder" in refusal(None)
    assert "--coco-root DIR" in refusal(None)


def test_a_folder_that_is_not_there(tmp_path):
    assert f"'{tmp_path / 'nowhere'}' does not exist" in refusal(tmp_path / "nowhere")


def test_no_annotation_file(tmp_path):
    assert "expected annotations/instances_val2017.json" in refusal(tmp_path)


def test_images_of_a_split_without_its_annotation_file(coco_root):
    (coco_root / "annotations" / "instances_train2017.json").unlink()
    sentence = refusal(coco_root)
    assert "has train2017/ but not its annotation file" in sentence
    assert f"annotations{os.sep}instances_train2017.json" in sentence


def test_annotations_without_any_image_folder(coco_root):
    for folder in ("train2017", "val2017"):
        shutil.rmtree(coco_root / folder)
    assert "has annotations but no images: expected train2017/ or val2017/" in refusal(coco_root)


def test_annotations_of_both_splits_but_images_of_one(coco_root):
    shutil.rmtree(coco_root / "train2017")
    resolved = resolve_data(CONFIG, coco_root)
    assert (resolved.n_train, resolved.n_val, resolved.n_test) == (1, 1, 1)


def test_missing_images(coco_root):
    (coco_root / "train2017" / "7.png").unlink()
    assert "1 of the 12 annotated images are missing" in refusal(coco_root)
    assert "for example 7.png" in refusal(coco_root)


def test_too_few_usable_images(coco):
    for number in range(2):
        coco.add("val2017", f"{number}.png", photograph(number, 40, 40), outline(5, 5, 20, 20))
    sentence = refusal(coco.write())
    assert "too few images with a usable object: 2 in val2017/, and at least 3 in val2017/ are needed" in sentence


def test_too_few_distinct_images(coco):
    for number in range(3):
        coco.add("val2017", f"{number}.png", photograph(0, 40, 40), outline(5, 5, 20, 20))
    assert "every image of the split 'train' is a copy" in refusal(coco.write())


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.pop("categories"),
        lambda table: table["annotations"][0].pop("area"),
        lambda table: table["annotations"][0].update(category_id=99),
        lambda table: table["annotations"][0].update(bbox=[1, 2]),
        lambda table: table["annotations"][0].update(segmentation=[1, 2, 3, 4, 5, 6]),
        lambda table: table["images"][0].update(width="wide"),
        lambda table: table["images"][0].update(width=float("inf")),
        lambda table: (
            [row.update(id=10**30) for row in table["images"]]
            and [row.update(image_id=10**30) for row in table["annotations"]]
        ),
    ],
)
def test_annotations_that_are_not_coco(coco_root, change):
    edit(coco_root, "val2017", change)
    sentence = refusal(coco_root)
    assert "instances_val2017.json' is not readable as COCO instances (" in sentence
    assert sentence.endswith("unpack it again")


def test_a_cut_off_annotation_file(coco_root):
    path = coco_root / "annotations" / "instances_val2017.json"
    path.write_text(path.read_text()[:200])
    assert "is not readable as COCO instances (JSONDecodeError" in refusal(coco_root)


def test_an_annotation_file_of_endless_brackets(coco_root):
    path = coco_root / "annotations" / "instances_val2017.json"
    path.write_text("[" * 200_000)
    assert "is not readable as COCO instances (RecursionError" in refusal(coco_root)


def test_loading_a_config_that_was_not_resolved(coco_root):
    assert "resolve the config first" in refusal(coco_root, CONFIG, load_splits)


def test_loading_after_the_folder_changed(coco_root):
    resolved = resolve_data(CONFIG, coco_root)
    Image.new("RGB", (40, 30)).save(coco_root / "train2017" / "0.png")
    sentence = refusal(coco_root, resolved, load_splits)
    assert "is not the one that was planned with" in sentence
    assert resolved.fingerprint in sentence


def test_loading_more_than_the_folder_holds(coco_root):
    resolved = resolve_data(CONFIG, coco_root).model_copy(update={"n_test": 4})
    assert "the split 'test' asks for 4 images but" in refusal(coco_root, resolved, load_splits)


def test_loading_copies_that_only_decoding_can_find(coco):
    for number in range(4):
        coco.add("val2017", f"{number}.png", photograph(number, 40, 40), outline(5, 5, 20, 20))
    coco.add("val2017", "0.tiff", photograph(0, 40, 40), outline(5, 5, 20, 20))
    root = coco.write()
    sentence = refusal(root, resolve_data(CONFIG, root), load_splits)
    assert "for it after leaving out copies (1, such as val2017/0." in sentence


def test_an_image_that_cannot_be_read(coco_root):
    for path in (coco_root / "val2017").iterdir():
        path.write_bytes(path.read_bytes()[:300])
    assert "cannot be read" in refusal(coco_root, resolve_data(CONFIG, coco_root), load_splits)


def test_an_image_of_another_size_than_annotated(coco_root):
    for path in (coco_root / "val2017").iterdir():
        photograph(9, 20, 20).save(path)
    sentence = refusal(coco_root, resolve_data(CONFIG, coco_root), load_splits)
    assert "is 20 x 20 px but annotated as 30 x 40" in sentence


def test_a_mask_of_another_size_than_the_image(coco_root):
    coded = {"counts": "04", "size": [2, 2]}
    edit(coco_root, "val2017", lambda table: [a.update(segmentation=coded) for a in table["annotations"]])
    sentence = refusal(coco_root, resolve_data(CONFIG, coco_root), load_splits)
    assert "has an unreadable mask (its mask is 2 x 2 px, the image 30 x 40)" in sentence
