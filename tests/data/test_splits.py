import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from foresight.config import DataConfig
from foresight.data import DATASETS, SPLITS, load_splits, prove_disjoint
from foresight.data.image_set import hash_pixels


@pytest.fixture
def sets():
    return load_splits(DataConfig(n_train=6, n_val=4, n_test=5, image_px=28))


def planted(sets, split, row, source):
    """The sets with one row's hash replaced by another's."""
    hashes = sets[split].sample_hash.copy()
    hashes[row] = source
    return sets | {split: replace(sets[split], sample_hash=hashes)}


def test_generated_splits_are_disjoint_and_complete(sets):
    prove_disjoint(sets)
    assert list(sets) == list(SPLITS)
    assert [len(part) for part in sets.values()] == [6, 4, 5]
    assert [part.split for part in sets.values()] == list(SPLITS)


@pytest.mark.parametrize(("first", "second"), [("train", "val"), ("train", "test"), ("val", "test")])
def test_a_planted_copy_is_caught(sets, first, second):
    shared = sets[first].sample_hash[2]
    with pytest.raises(ValueError, match=f"'{first}' and '{second}' share 1 images, for example {shared}"):
        prove_disjoint(planted(sets, second, 1, shared))


def test_a_picture_twice_in_test_is_caught_and_in_train_is_not(sets):
    repeated = sets["test"].sample_hash[0]
    with pytest.raises(ValueError, match=f"'test' holds 1 images more than once, for example {repeated}"):
        prove_disjoint(planted(sets, "test", 3, repeated))
    prove_disjoint(planted(sets, "train", 3, sets["train"].sample_hash[0]))


def test_loading_proves_the_splits(sets, monkeypatch):
    leaking = planted(sets, "test", 0, sets["train"].sample_hash[0])
    monkeypatch.setitem(DATASETS, "shapes", replace(DATASETS["shapes"], load=lambda config, root: leaking))
    with pytest.raises(ValueError, match="'train' and 'test' share 1"):
        load_splits(DataConfig())


def test_a_hash_is_over_pixels_and_shape():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert hash_pixels(pixels) == hash_pixels(pixels.copy())
    assert hash_pixels(pixels) != hash_pixels(pixels.reshape(4, 2, 3))
    assert hash_pixels(pixels) != hash_pixels(pixels[::-1])
    assert len(hash_pixels(pixels)) == 16


def test_an_image_set_refuses_arrays_of_another_shape_or_type(sets):
    test = sets["test"]
    with pytest.raises(ValueError, match=r"'masks' of the test split must be b1 \[5, 32, 32\], not u1"):
        replace(test, masks=test.masks.astype(np.uint8))
    with pytest.raises(ValueError, match=r"'boxes_xyxy' of the test split must be f4 \[5, 4\], not f4 \[4, 4\]"):
        replace(test, boxes_xyxy=test.boxes_xyxy[:4])


def test_importing_the_package_loads_nothing_heavy():
    heavy = "{'torch', 'ray', 'optuna', 'PIL', 'pycocotools', 'av', 'pandas'}"
    code = f"import sys, foresight.data; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
