import shutil
from pathlib import Path

import numpy as np
import pytest
from clip_writer import HEIGHT, WIDTH
from PIL import Image

from foresight.config import DataConfig
from foresight.data import load_clip_splits, resolve_data
from foresight.errors import RequestError

CONFIG = DataConfig(name="davis", image_px=28, n_frames=4, n_train=2, n_val=1, n_test=1)


@pytest.fixture
def root(davis) -> Path:
    """Three sequences to train and validate with, one to test with: 12 frames each."""
    for number in range(3):
        davis.add("train", number)
    davis.add("val", 10)
    return davis.write()


def refusal(root, config=CONFIG, ask=resolve_data) -> str:
    with pytest.raises(RequestError) as caught:
        ask(config, root)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def load_test(davis, masks):
    for number in range(2):
        davis.add("train", number)
    davis.add("val", 10, masks=masks)
    root = davis.write()
    config = CONFIG.model_copy(update={"n_train": 1})
    return load_clip_splits(resolve_data(config, root), root)["test"]


def blank() -> np.ndarray:
    """Object numbers of a sequence of 12 frames; frames 0, 4, 7 and 11 are taken."""
    return np.zeros((12, HEIGHT, WIDTH), dtype=np.uint8)


def test_mask_and_box_follow_the_object_that_covers_most_over_the_clip(davis):
    masks = blank()
    masks[0, :, :32] = 1  # object 1 is larger at first, object 2 over the frames that are taken
    masks[4, :16, 32:] = masks[7, :16, :] = masks[11, 16:, :32] = 2
    masks[[1, 2, 3], :, :] = 1  # not taken
    test = load_test(davis, masks)
    # 64 x 32 in a square of 64, 16 px above it; at 32 px the picture is rows 8 to 24.
    assert test.boxes_xyxy[0].tolist() == [[0, 0, 0, 0], [0.5, 0.25, 1, 0.5], [0, 0.25, 1, 0.5], [0, 0.5, 0.5, 0.75]]
    expected = np.zeros((4, 32, 32), dtype=bool)
    expected[1, 8:16, 16:] = expected[2, 8:16] = expected[3, 16:24, :16] = True
    assert np.array_equal(test.masks[0], expected)


def test_void_is_no_object(davis):
    masks = blank()
    masks[:] = 255
    masks[:, :8, :8] = 3
    assert load_test(davis, masks).boxes_xyxy[0].tolist() == [[0, 0.25, 0.125, 0.375]] * 4


def test_the_scene_is_the_sequence(root):
    sets = load_clip_splits(resolve_data(CONFIG, root), root)
    assert sets["test"].scene.tolist() == ["sequence-10"]
    train_and_val = [*sets["train"].scene.tolist(), *sets["val"].scene.tolist()]
    assert sorted(train_and_val) == ["sequence-0", "sequence-1", "sequence-2"]


def test_the_fingerprint_answers_to_which_list_a_sequence_is_in(davis, root):
    before = resolve_data(CONFIG, root).fingerprint
    davis.lists["val"].insert(0, davis.lists["train"].pop())  # the same files in the same order
    davis.write()
    assert resolve_data(CONFIG, root).fingerprint != before


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_missing_list(root, split):
    (root / "ImageSets/2017" / f"{split}.txt").unlink()
    assert f"has no list of sequences ImageSets/2017/{split}.txt" in refusal(root)


def test_a_missing_sequence(root):
    shutil.rmtree(root / "JPEGImages/480p/sequence-1")
    assert "the sequence 'sequence-1' has no frames in" in refusal(root)


@pytest.mark.parametrize("number", [0, 3, 11])
@pytest.mark.parametrize(
    ("folder", "name"), [("JPEGImages", "frame {:05d}.jpg"), ("Annotations", "mask {:05d}.png")], ids=("frame", "mask")
)
def test_a_missing_file_of_a_sequence(root, folder, name, number):
    what = name.format(number)
    (root / folder / "480p/sequence-10" / what.split()[1]).unlink()
    sentence = refusal(root)
    assert "the sequence 'sequence-10' of the DAVIS 2017 folder" in sentence
    assert f"the {what} is missing" in sentence
    assert ("11 frames and 12 masks" if folder == "JPEGImages" else "12 frames and 11 masks") in sentence


def test_a_frame_that_cannot_be_read(root):
    path = root / "JPEGImages/480p/sequence-10/00007.jpg"
    path.write_bytes(path.read_bytes()[:200])
    sentence = refusal(root, resolve_data(CONFIG, root), load_clip_splits)
    assert f"the picture '{path}' cannot be read (" in sentence


def test_a_mask_in_colours_instead_of_object_numbers(root):
    path = root / "Annotations/480p/sequence-10/00000.png"
    Image.open(path).convert("RGB").save(path)
    sentence = refusal(root, resolve_data(CONFIG, root), load_clip_splits)
    assert f"the picture '{path}' cannot be read (it has the mode RGB, not a palette of object numbers)" in sentence


def test_masks_of_another_resolution(root):
    for path in (root / "Annotations/480p/sequence-10").iterdir():
        Image.open(path).resize((32, 16), Image.Resampling.NEAREST).save(path)
    sentence = refusal(root, resolve_data(CONFIG, root), load_clip_splits)
    assert "'sequence-10' have different sizes (32 x 16 px and 64 x 32 px)" in sentence


def test_a_sequence_without_an_object(davis):
    with pytest.raises(RequestError, match="the masks of the sequence 'sequence-10' show no object in any of 4 frames"):
        load_test(davis, blank())
