"""What holds for every folder of clips, whatever its layout: the cases are run on each reader."""

import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from clip_writer import Ssv2Writer
from PIL import Image

from foresight.config import DataConfig
from foresight.data import CLIP_DATASETS, ClipSet, load_clip_splits, resolve_data
from foresight.data.letterbox import PADDING_GREY
from foresight.errors import RequestError

SIZES = {"image_px": 28, "target_px": 32, "n_frames": 4}
FOLDERS = [name for name in CLIP_DATASETS if name != "clips"]
TEST_LIST = {"ssv2": "validation", "davis": "val"}


@pytest.fixture(params=FOLDERS)
def name(request) -> str:
    return request.param


@pytest.fixture
def writer(name, request):
    return request.getfixturevalue(name)


@pytest.fixture
def root(name, writer) -> Path:
    """Eight clips to train and validate with, two to test with."""
    for number in range(8):
        writer.add("train", number)
    for number in (10, 11):
        writer.add(TEST_LIST[name], number)
    return writer.write()


def load(name: str, root: Path, **fields) -> dict[str, ClipSet]:
    return load_clip_splits(resolve_data(DataConfig(name=name, **SIZES | fields), root), root)


def refusal(config: DataConfig, root: Path | None, ask=resolve_data) -> str:
    with pytest.raises(RequestError) as caught:
        ask(config, root)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def numbers(part: ClipSet) -> list[int]:
    """Which clips these are, told by their blue."""
    return np.rint(part.frames[:, 0, 14, 14, 2] / 10).astype(int).tolist()


def test_splits_come_from_their_lists_and_are_complete(name, root):
    sets = load(name, root)
    assert {split: len(part) for split, part in sets.items()} == {"train": 7, "val": 1, "test": 2}
    assert sorted(numbers(sets["test"])) == [10, 11]
    assert sorted(numbers(sets["train"]) + numbers(sets["val"])) == list(range(8))


def test_frames_are_spread_evenly_and_letterboxed(name, root):
    test = load(name, root)["test"]
    assert test.frames.shape == (2, 4, 28, 28, 3)
    reds = test.frames[:, :, 14, 14, 0].astype(int)
    assert abs(reds - (20 + 8 * np.array([0, 4, 7, 11]))).max() < 4  # frame k is 20 + 8 k
    assert abs(test.targets[:, :, 0, 16, 16].astype(int) - reds).max() <= 1
    # 64 x 32 in 28 x 28: rows 7 to 21; in 32 x 32: rows 8 to 24.
    assert (test.frames[:, :, [*range(7), *range(21, 28)]] == PADDING_GREY).all()
    assert not (test.frames[:, :, 7:21] == PADDING_GREY).all(-1).any()
    assert test.content_xyxy.tolist() == [[0, 0.25, 1, 0.75]] * 2
    assert (test.content == ((np.arange(32) >= 8) & (np.arange(32) < 24))[:, None]).all()


def test_more_training_clips_leave_the_others_and_the_first_ones_alone(name, root):
    small, large = load(name, root, n_train=3), load(name, root, n_train=6)
    assert np.array_equal(small["train"].sample_hash, large["train"].sample_hash[:3])
    for split in ("val", "test"):
        assert np.array_equal(small[split].frames, large[split].frames)


def test_another_seed_chooses_other_clips(name, root):
    chosen = {frozenset(load(name, root, n_train=3, seed=seed)["train"].sample_hash) for seed in range(4)}
    assert len(chosen) > 1


def test_counts_are_clipped_to_what_the_folder_lists(name, root):
    resolved = resolve_data(DataConfig(n_frames=9, name=name, n_test=1), root)
    assert (resolved.n_train, resolved.n_val, resolved.n_test) == (7, 1, 1)
    assert resolve_data(resolved, root) == resolved


def test_the_fingerprint_is_the_same_wherever_the_folder_stands(name, root, tmp_path):
    copied = shutil.copytree(root, tmp_path / "elsewhere" / "copy")
    (copied / "notes.txt").write_text("not a part of the data set")
    first, second = (resolve_data(DataConfig(n_frames=9, name=name), folder) for folder in (root, copied))
    assert first == second
    assert len(first.fingerprint) == 16


def test_the_fingerprint_answers_to_lists_and_clips(name, writer, root):
    fingerprints = [resolve_data(DataConfig(n_frames=9, name=name), root).fingerprint]
    files = [path for path in sorted(root.rglob("*")) if path.suffix in (".webm", ".jpg", ".png")]
    for path in (files[0], files[-1]):
        path.write_bytes(path.read_bytes() + b"\0")
        fingerprints.append(resolve_data(DataConfig(n_frames=9, name=name), root).fingerprint)
    lists = writer.labels if isinstance(writer, Ssv2Writer) else writer.lists
    lists["train"].pop()
    writer.write()
    fingerprints.append(resolve_data(DataConfig(n_frames=9, name=name), root).fingerprint)
    assert len(set(fingerprints)) == 4


def test_a_plan_decodes_nothing(name, root, monkeypatch):
    monkeypatch.setattr(Image, "open", None)
    monkeypatch.setattr(av, "open", None)
    resolve_data(DataConfig(n_frames=9, name=name), root)


def test_a_copied_clip_stays_in_test_only(name, writer):
    for number in range(6):
        writer.add("train", number)
    writer.add("train", 8, shows=10)
    writer.add(TEST_LIST[name], 10)
    sets = load(name, writer.write(), n_train=5)
    assert numbers(sets["test"]) == [10]
    assert 10 not in numbers(sets["train"]) + numbers(sets["val"])


def test_what_was_left_out_is_said_when_too_little_remains(name, writer):
    for number in range(5):
        writer.add("train", number)
    writer.add("train", 5, n_frames=3)
    writer.add("train", 6, shows=10)
    writer.add(TEST_LIST[name], 10)
    root = writer.write()
    # Seven are listed for train and val, of which one is for val. Two cannot be used.
    sentence = refusal(resolve_data(DataConfig(name=name, **SIZES), root), root, load_clip_splits)
    assert "the split 'train' asks for 6 clips but" in sentence
    assert "has 4 for it after leaving out copies (1, such as" in sentence
    assert "and clips of fewer than 4 frames (1, such as" in sentence
    assert "lower n_train to 4, or add clips" in sentence
    assert len(load(name, root, n_train=4)["train"]) == 4


def test_loading_more_than_the_folder_lists(name, root):
    config = resolve_data(DataConfig(name=name, **SIZES), root).model_copy(update={"n_test": 3})
    sentence = refusal(config, root, load_clip_splits)
    assert "the split 'test' asks for 3 clips but" in sentence
    assert "has 2 for it; lower n_test to 2" in sentence


def test_too_few_clips(name, writer):
    writer.add("train", 0)
    writer.add(TEST_LIST[name], 1)
    sentence = refusal(DataConfig(n_frames=9, name=name), writer.write())
    assert "lists too few clips: 1 to train and validate with and 1 to test with, and at least 2 and 1" in sentence


def test_no_folder_given(name):
    assert f"the data '{name}' needs the folder that holds" in refusal(DataConfig(n_frames=9, name=name), None)


def test_a_folder_that_is_not_there(name, tmp_path):
    assert f"'{tmp_path / 'nowhere'}' does not exist" in refusal(
        DataConfig(n_frames=9, name=name), tmp_path / "nowhere"
    )


def test_loading_a_config_that_was_not_resolved(name, root):
    assert "resolve the config first" in refusal(DataConfig(n_frames=9, name=name), root, load_clip_splits)


def test_loading_after_the_folder_changed(name, writer, root):
    resolved = resolve_data(DataConfig(name=name, **SIZES), root)
    writer.add("train", 12)
    writer.write()
    sentence = refusal(resolved, root, load_clip_splits)
    assert "is not the one that was planned with" in sentence
    assert resolved.fingerprint in sentence
