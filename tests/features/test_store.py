import json
from pathlib import Path

import numpy as np
import pytest

from foresight.features.store import ArrayStore, CorruptEntryError, content_key, default_root

ARRAYS = {
    "tokens": np.linspace(-1, 1, 24, dtype=np.float16).reshape(2, 3, 4),
    "content": np.array([[True, False], [False, True]]),
    "pixels": np.arange(12, dtype=np.uint8).reshape(3, 4),
    "scene": np.array(["circle", "square"]),
}


@pytest.fixture
def store(tmp_path) -> ArrayStore:
    return ArrayStore(tmp_path / "cache")


def publish(store: ArrayStore, key: str, arrays=ARRAYS, content=None) -> None:
    with store.writer(key, content or {}) as create:
        for name, array in arrays.items():
            create(name, array.shape, array.dtype)[...] = array


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_arrays_come_back_as_they_were_written(store):
    publish(store, "entry", content={"layer": 8})
    loaded = ArrayStore(store.root).load("entry")
    assert list(loaded) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert loaded[name].dtype == array.dtype
        assert np.array_equal(loaded[name], array)
    assert store.content("entry") == {"layer": 8}


def test_loaded_arrays_are_read_only_maps_of_the_files(store):
    publish(store, "entry")
    for array in store.load("entry").values():
        assert isinstance(array, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array


def test_an_entry_is_absent_until_it_is_whole(store):
    with store.writer("entry", {}) as create:
        create("tokens", (2,), np.float32)[...] = 1
        assert not store.has("entry")
        with pytest.raises(KeyError, match="no entry entry"):
            store.load("entry")
    assert store.has("entry")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_writer_that_fails_publishes_nothing_and_leaves_nothing(store, error):
    with pytest.raises(error), store.writer("entry", {}) as create:
        create("tokens", (2,), np.float32)[...] = 1
        raise error
    assert not store.has("entry")
    assert list(store.root.iterdir()) == []


def test_what_a_dead_writer_left_is_replaced(store):
    left = store.root / ".entry.tmp"
    left.mkdir(parents=True)
    (left / "stale.npy").write_bytes(b"half an array")
    (left / "meta.json").write_text("{")
    publish(store, "entry")
    assert list(store.load("entry")) == list(ARRAYS)
    assert not (store.root / "entry" / "stale.npy").exists()
    assert [path.name for path in store.root.iterdir()] == ["entry"]


@pytest.mark.parametrize("name", ARRAYS)
def test_a_changed_byte_is_found(store, name):
    publish(store, "entry")
    flip_a_byte(store.root / "entry" / f"{name}.npy")
    with pytest.raises(CorruptEntryError, match=f"{name}.npy does not have its checksum"):
        store.load("entry")


def test_a_missing_array_is_found(store):
    publish(store, "entry")
    (store.root / "entry" / "pixels.npy").unlink()
    with pytest.raises(CorruptEntryError, match="pixels"):
        store.load("entry")


def test_a_discarded_entry_can_be_written_again(store):
    publish(store, "entry")
    store.discard("entry")
    assert not store.has("entry")
    publish(store, "entry", {"tokens": np.ones(3)})
    assert list(store.load("entry")) == ["tokens"]


def test_an_entry_whose_removal_died_half_way_can_be_written_again(store, monkeypatch):
    publish(store, "entry")

    def dies(folder, ignore_errors=False):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("foresight.features.store.shutil.rmtree", dies)
        store.discard("entry")
    assert (store.root / "entry").exists() and not store.has("entry")
    publish(store, "entry", {"tokens": np.ones(3)})
    assert list(store.load("entry")) == ["tokens"]


def test_shapes_and_types_can_be_read_without_opening_an_array(store):
    publish(store, "entry")
    meta = json.loads((store.root / "entry" / "meta.json").read_text())
    assert meta["shapes"] == {name: list(array.shape) for name, array in ARRAYS.items()}
    assert meta["dtypes"]["tokens"] == "float16"


def test_keys_answer_to_content_and_not_to_its_order():
    key = content_key("vlm", {"layer": 8, "data": {"n": 1, "px": 2}})
    assert key == content_key("vlm", {"data": {"px": 2, "n": 1}, "layer": 8})
    assert key.startswith("vlm-")
    assert len({key, content_key("vlm", {"layer": 14, "data": {"n": 1, "px": 2}}), content_key("vlm", {})}) == 3


def test_the_cache_is_where_the_user_put_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("FORESIGHT_CACHE", str(tmp_path / "chosen"))
    assert default_root() == tmp_path / "chosen"
    monkeypatch.delenv("FORESIGHT_CACHE")
    assert default_root() == tmp_path / "xdg" / "foresight"


def test_a_torn_description_of_an_entry_is_a_corrupt_entry(tmp_path):
    store = ArrayStore(tmp_path)
    with store.writer("key", {}) as create:
        create("a", (2,), np.float32)[...] = 1
    (tmp_path / "key" / "meta.json").write_text('{"sha256"')
    with pytest.raises(CorruptEntryError, match="damaged; delete"):
        store.load("key")


def publish_files(store: ArrayStore, key: str, weights: bytes = b"weights") -> None:
    with store.folder_writer(key, {"recipe": 1}) as folder:
        (folder / "part").mkdir()
        (folder / "part" / "model.bin").write_bytes(weights)
        (folder / "config.json").write_text("{}")
        assert not store.has(key)


def test_files_come_back_in_their_folder(store):
    publish_files(store, "model")
    folder = ArrayStore(store.root).folder("model")
    assert (folder / "part" / "model.bin").read_bytes() == b"weights"
    assert store.content("model") == {"recipe": 1}
    assert store.load("model") == {}


def test_a_folder_that_is_absent_or_has_changed_is_found(store):
    with pytest.raises(KeyError, match="no entry model"):
        store.folder("model")
    publish_files(store, "model")
    flip_a_byte(store.root / "model" / "part" / "model.bin")
    with pytest.raises(CorruptEntryError, match=r"model\.bin does not have its checksum"):
        store.folder("model")


def test_a_folder_whose_writer_fails_is_not_published(store):
    with pytest.raises(ValueError), store.folder_writer("model", {}) as folder:
        (folder / "half").write_bytes(b"x")
        raise ValueError
    assert list(store.root.iterdir()) == []


def test_the_digest_of_files_answers_to_their_bytes_alone(store):
    for key, weights in (("a", b"weights"), ("b", b"weights"), ("c", b"others")):
        publish_files(store, key, weights)
    assert store.digest("a") == store.digest("b") != store.digest("c")
    assert len(store.digest("a")) == 16
