"""The feature cache in an object store: several machines, each with its own folder of copies."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from foresight.features.shards import claim_shard, join_shards, parts_of, pictures_done, shards_of, tidy_shards
from foresight.features.store import ArrayStore, CorruptEntryError, default_place, default_root
from foresight.storage.objects import ObjectFiles
from foresight.storage.place import Place

KEY = "dinov2-B-final-0123456789abcdef"


@pytest.fixture
def here(tmp_path: Path, s3_url: str) -> ArrayStore:
    return ArrayStore.at(Place(tmp_path / "here", s3_url))


@pytest.fixture
def there(tmp_path: Path, s3_url: str) -> ArrayStore:
    """The same cache on another machine."""
    return ArrayStore.at(Place(tmp_path / "there", s3_url))


def publish(store: ArrayStore, value: float = 1.0, key: str = KEY) -> None:
    with store.writer(key, {"kind": "dinov2", "n_params": 7}) as create:
        create("train", (64, 3), np.float16)[...] = value
        create("test", (32, 3), np.float16)[...] = value + 1


def values(store: ArrayStore) -> list[float]:
    return [float(array[0, 0]) for _, array in sorted(store.load(KEY).items())]


def test_an_entry_is_computed_on_one_machine_and_read_on_another(here, there):
    assert not there.has(KEY)
    with pytest.raises(KeyError, match=rf"no entry {KEY} in s3://bucket/"):
        there.load(KEY)
    publish(here)
    assert there.has(KEY)
    assert there.entries() == [KEY]
    assert there.content(KEY)["n_params"] == 7
    assert there.shapes(KEY)["train"] == (64, 3)
    assert there.digest(KEY) == here.digest(KEY)
    assert not there.is_here(KEY)  # nothing of it was needed so far
    assert values(there) == values(here) == [2.0, 1.0]
    assert there.is_here(KEY)


def test_an_entry_of_files_comes_as_it_was(here, there):
    with here.folder_writer("ltx", {"kind": "ltx"}) as folder:
        (folder / "vae").mkdir()
        (folder / "vae" / "model.safetensors").write_bytes(b"weights")
    assert (there.folder("ltx") / "vae" / "model.safetensors").read_bytes() == b"weights"


class PowerCutError(BaseException):
    """Stands for the end of the process: the tests of the run log really end theirs."""


def test_an_upload_that_ends_half_way_is_no_entry(here, there, monkeypatch):
    genuine = ObjectFiles._put
    for nth in range(3):  # two arrays and the description
        left = [nth]

        def put(self, name, content, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise PowerCutError
            return genuine(self, name, content)

        with monkeypatch.context() as patch, pytest.raises(PowerCutError):
            patch.setattr(ObjectFiles, "_put", put)
            publish(here)
        assert not there.has(KEY)
        assert not here.has(KEY)
        assert there.entries() == []
    publish(here)
    assert values(there) == [2.0, 1.0]


def test_of_two_machines_that_compute_one_entry_everybody_reads_the_first(here, there, tmp_path, s3_url):
    with there.writer(KEY, {"n_params": 7}) as create:
        create("train", (64, 3), np.float16)[...] = 5.0  # the same up to the last digits of another GPU
        create("test", (32, 3), np.float16)[...] = 6.0
        publish(here)
    third = ArrayStore.at(Place(tmp_path / "third", s3_url))
    assert values(here) == values(there) == values(third) == [2.0, 1.0]


def test_a_copy_that_was_damaged_is_found_and_fetched_again(here, there):
    publish(here)
    there.load(KEY)
    (there.root / KEY / "test.npy").write_bytes(b"damaged")
    fresh = ArrayStore(there.root, there.shared)
    with pytest.raises(CorruptEntryError, match="does not have its checksum"):
        fresh.load(KEY)
    fresh.discard(KEY)
    assert values(fresh) == [2.0, 1.0]


def test_shards_of_several_machines_are_joined_and_go(here, there, tmp_path, s3_url):
    shards = shards_of({"train": 64, "test": 32}, size=32)
    for i, shard in enumerate(shards):
        store = (here, there)[i % 2]
        with claim_shard(shard, [KEY], store) as absent, parts_of(store, KEY).writer(shard.name, {"n": 1}) as create:
            assert absent == [KEY]
            create("tokens", (32, 2, 3), np.float16)[...] = i
    assert pictures_done(KEY, here) == pictures_done(KEY, there) == 96
    tidy_shards([KEY], here)
    join_shards(KEY, shards, here)
    third = ArrayStore.at(Place(tmp_path / "third", s3_url))
    arrays = third.load(KEY)
    assert [float(arrays["train"][n, 0, 0]) for n in (0, 32)] == [0.0, 1.0]
    assert float(arrays["test"][0, 0, 0]) == 2.0
    assert parts_of(third, KEY).entries() == []
    with claim_shard(shards[0], [KEY], there) as absent:
        assert absent == []


def test_a_full_disk_keeps_no_half_copy(here, there, monkeypatch):
    publish(here)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr("os.write", full)
        there.load(KEY)
    assert [path.name for path in there.root.iterdir()] == ["locks"]
    assert values(there) == [2.0, 1.0]


def test_copies_may_be_deleted_at_any_time(here):
    publish(here)
    shutil.rmtree(here.root)
    assert values(here) == [2.0, 1.0]


def test_the_cache_may_be_named_by_a_url(monkeypatch, tmp_path):
    monkeypatch.setenv("FORESIGHT_CACHE", "s3://bucket/features")
    monkeypatch.setenv("FORESIGHT_LOCAL", str(tmp_path))
    assert default_place().url == "s3://bucket/features"
    assert default_root().parent == tmp_path
