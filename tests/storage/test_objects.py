"""Files under a prefix of an object store, against S3's own protocol."""

import pickle
import time

import pytest
from s3_server import KEY, SECRET

from foresight.errors import RequestError, StorageError
from foresight.storage.objects import ObjectFiles, open_place, open_system
from foresight.storage.place import Place, local_root, read_place


@pytest.fixture
def files(s3_url: str) -> ObjectFiles:
    return ObjectFiles(s3_url)


def test_what_was_written_is_read_listed_and_removed(files):
    began = time.time()
    seen = files.write("a/b.json", b"content")
    assert seen.size == 7
    assert began - 2 < seen.mtime_ns / 1e9 < time.time() + 2
    assert files.read("a/b.json") == b"content"
    assert files.exists("a/b.json")
    assert not files.exists("a")
    empty = files.write("a/empty", b"")
    files.write("c/d/e", b"x")
    assert files.listing("a") == {"b.json": seen, "empty": empty}
    assert set(files.walk("")) == {"a/b.json", "a/empty", "c/d/e"}
    assert files.folders("") == ["a", "c"]
    assert files.listing("nothing") == {}
    files.delete("a/b.json")
    files.delete("a/b.json")
    assert not files.exists("a/b.json")
    with pytest.raises(FileNotFoundError):
        files.read("a/b.json")


def test_a_large_object_arrives_whole_in_parts(files, tmp_path):
    content = bytes(range(256)) * 2**16 * 2  # 32 MiB
    files.write("large", content)
    with (tmp_path / "large").open("wb") as file:
        files.copy_to("large", file.fileno())
    assert (tmp_path / "large").read_bytes() == content == files.read("large")


def test_a_long_listing_comes_in_pages(files):
    files.write_all({f"many/{n:04d}": b"" for n in range(1100)})
    assert len(files.listing("many")) == 1100


def test_only_the_url_travels_to_other_processes(files):
    files.write("a", b"x")
    stored = pickle.dumps(files)
    assert SECRET.encode() not in stored
    assert KEY.encode() not in stored
    assert pickle.loads(stored).read("a") == b"x"


def test_a_place_is_a_folder_or_a_url_with_a_folder_for_its_copies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_place("runs") == Place(tmp_path / "runs")
    assert read_place("a:b") == Place(tmp_path / "a:b")
    monkeypatch.setenv("FORESIGHT_LOCAL", str(tmp_path / "copies"))
    url = "s3://bucket/some/runs?region=eu-west-1"
    place = read_place(url)
    assert place.url == url
    assert place.path.parent == tmp_path / "copies"
    assert place.path.name.startswith("bucket-some-runs-")
    assert read_place("s3://other/some/runs").path != place.path
    assert place.below("study") == Place(place.path / "study", "s3://bucket/some/runs/study?region=eu-west-1")
    monkeypatch.delenv("FORESIGHT_LOCAL")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert local_root() == tmp_path / "xdg" / "foresight-local"


@pytest.mark.parametrize("text", ["S3://bucket/some/runs?region=x", "s3://bucket/some/runs/?region=x"])
def test_one_place_has_one_copy_however_it_is_typed(text):
    assert read_place(text) == read_place("s3://bucket/some/runs?region=x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gcs://bucket/runs", r"'gcs://' is no storage that is known here \(did you mean 'gs'\?\)"),
        ("s3a://bucket/runs", r"did you mean 's3'\?"),
        ("https://bucket/runs", "give a folder, s3://bucket/prefix or gs://bucket/prefix"),
        ("s3:///runs", "names no bucket; write s3://bucket/prefix"),
        ("s3:/bucket/runs", "names no bucket; write s3://bucket/prefix"),
        ("s3://key:hidden@bucket/runs", "credentials do not belong in a s3:// URL"),
        ("s3://bucket/x?endpoint_override=user:hidden@host:9000", "credentials do not belong in a s3:// URL"),
        ("", "a place without a name is none; give a folder"),
        (" ", "a place without a name is none"),
        ("s3://bucket/runs?endpoint=x", r"'endpoint' is no option .* \(did you mean 'endpoint_override'\?\)"),
    ],
)
def test_a_place_that_is_none_is_refused_with_what_is_meant(text, said):
    with pytest.raises(RequestError, match=said) as caught:
        open_place(text)
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)


def refusal(url: str) -> str:
    began = time.monotonic()
    with pytest.raises(RequestError) as caught:
        open_place(url)
    assert time.monotonic() - began < 30
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_bucket_that_is_not_there_is_named(s3_url):
    open_place(s3_url)
    assert "there is no bucket 'bocket'" in refusal(s3_url.replace("//bucket/", "//bocket/"))


def test_keys_that_are_refused_are_told_by_where_they_are_read_and_not_repeated(s3, s3_url, monkeypatch):
    if s3[1] is None:
        pytest.skip("another server, which takes any keys")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "wrong")
    said = refusal(s3_url)
    assert "refuses these credentials, or has none: it reads AWS_ACCESS_KEY_ID" in said
    assert "wrong" not in said
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "refuses these credentials" in refusal(s3_url)


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9", "no-such-host.invalid"])
def test_no_network_is_told_within_seconds(endpoint, s3):
    assert "cannot be reached from here" in refusal(f"s3://bucket/x?endpoint_override={endpoint}&scheme=http")


def test_the_endpoint_may_come_from_the_environment(s3, s3_url, monkeypatch):
    ObjectFiles(s3_url).write("a", b"x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{s3[0]}")
    assert ObjectFiles(s3_url.partition("?")[0]).read("a") == b"x"


def test_google_cloud_storage_is_opened_by_its_own_client():
    system = open_system("gs://bucket/runs?endpoint_override=127.0.0.1:9&scheme=http", attempts=1)
    assert system.type_name == "gcs"


def test_a_storage_that_is_lost_amid_a_run_fails_in_one_line(files, s3):
    lost = ObjectFiles("s3://bucket/x?endpoint_override=127.0.0.1:9&scheme=http")
    lost._system = open_system(lost.url, attempts=1)
    for act in (
        lambda: lost.write("a", b""),
        lambda: lost.read("a"),
        lambda: lost.exists("a"),
        lambda: lost.listing(""),
    ):
        with pytest.raises(StorageError, match="the object store fails: ") as caught:
            act()
        assert "\n" not in str(caught.value)
