import json
import shutil
from pathlib import Path

import pytest

from foresight.config import DataConfig
from foresight.data import load_clip_splits, resolve_data
from foresight.errors import RequestError

CONFIG = DataConfig(name="ssv2", image_px=28, n_frames=4, n_train=3, n_val=1, n_test=1)


@pytest.fixture
def root(ssv2) -> Path:
    """Four clips to train and validate with, one to test with, and one of the test list that nobody has labels for."""
    for number in range(4):
        ssv2.add("train", number)
    ssv2.add("validation", 10)
    ssv2.add("test", 20)
    return ssv2.write()


def edit(root, name, change):
    path = root / "labels" / f"{name}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def refusal(root, config=CONFIG, ask=resolve_data) -> str:
    with pytest.raises(RequestError) as caught:
        ask(config, root)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_the_scene_is_the_template_without_brackets_and_there_are_no_masks(root):
    test = load_clip_splits(resolve_data(CONFIG, root), root)["test"]
    assert test.scene.tolist() == ["Moving something next to something"]
    assert test.masks is None
    assert test.boxes_xyxy is None


def test_the_unlabelled_test_list_is_not_needed(root):
    (root / "labels" / "test.json").unlink()
    (root / "20bn-something-something-v2" / "20.webm").unlink()
    assert len(load_clip_splits(resolve_data(CONFIG, root), root)["train"]) == 3


def test_the_fingerprint_answers_to_a_label_of_the_same_clips(root):
    before = resolve_data(CONFIG, root).fingerprint
    edit(root, "train", lambda entries: entries[0].update(template="Holding [something]"))
    assert resolve_data(CONFIG, root).fingerprint != before


@pytest.mark.parametrize("name", ["train", "validation", "labels"])
def test_a_missing_label_file(root, name):
    (root / "labels" / f"{name}.json").unlink()
    assert f"has no label file labels/{name}.json" in refusal(root)


def test_a_cut_off_label_file(root):
    path = root / "labels" / "train.json"
    path.write_text(path.read_text()[:50])
    assert f"the label file '{path}' is not readable as JSON (" in refusal(root)


@pytest.mark.parametrize(
    "change",
    [
        lambda entries: entries[0].pop("template"),
        lambda entries: entries[0].pop("id"),
        lambda entries: entries[0].update(template=3),
        lambda entries: entries.append("clip"),
    ],
)
def test_labels_that_are_not_something_something(root, change):
    edit(root, "train", change)
    assert "are not readable as Something-Something v2 (" in refusal(root)


def test_a_template_of_another_release(root):
    edit(root, "validation", lambda entries: entries[0].update(template="Juggling [something]"))
    assert "clip 10 of the" in refusal(root)
    assert "has the template 'Juggling something', which is not in labels/labels.json" in refusal(root)


def test_no_clips(root):
    shutil.rmtree(root / "20bn-something-something-v2")
    assert "has labels but no clips: expected 20bn-something-something-v2/ beside labels/" in refusal(root)


def test_missing_clips(root):
    (root / "20bn-something-something-v2" / "2.webm").unlink()
    assert "1 of the 5 labelled clips are missing from" in refusal(root)
    assert "for example 2.webm" in refusal(root)


def test_a_clip_that_cannot_be_decoded_is_named(root):
    path = root / "20bn-something-something-v2" / "10.webm"
    path.write_bytes(b"not a video" * 20)
    sentence = refusal(root, resolve_data(CONFIG, root), load_clip_splits)
    assert f"the clip '{path}' cannot be decoded (" in sentence
