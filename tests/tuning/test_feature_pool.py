"""The pool that fills the feature cache; Ray itself is played here, everything else is real."""

import dataclasses
import io
import os
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from played_ray import PlayedRay
from rich.console import Console

from foresight.config import DataConfig, DecoderConfig, FusionConfig, TrialConfig
from foresight.data import resolve_data
from foresight.errors import RequestError, RunEndedError
from foresight.features import extract
from foresight.features.extract import compute, load_encoder
from foresight.features.keys import ltx_entry
from foresight.features.requests import Request, missing_requests, needed_entries
from foresight.features.shards import parts_of, request_shards
from foresight.features.store import ArrayStore
from foresight.runlog import RunLog
from foresight.side_costs import SideCosts, read_side_costs
from foresight.tuning import feature_pool, feature_progress
from foresight.tuning.feature_pool import fill_cache
from foresight.tuning.sweep import Placement

BASE = TrialConfig(data=DataConfig(n_train=70, n_val=2, n_test=33, image_px=28))
ARMS = [BASE.with_fields(changes) for changes in ({}, {"vlm.layer": "8"}, {"dinov2.size": "B"})]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(feature_pool, "request_shards", lambda *a: request_shards(*a, 32))


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict[str, dict[str, bytes]]:
    """The files of every entry, by one process alone."""
    store = ArrayStore(tmp_path_factory.mktemp("alone"))
    for stage in missing_requests(ARMS, store):
        for request in stage:
            compute(request, store)
    return files_of(store)


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=40)


def files_of(store: ArrayStore) -> dict[str, dict[str, bytes]]:
    return {
        key: {path.name: path.read_bytes() for path in (store.root / key).iterdir()}
        for key in sorted(needed_entries(ARMS))
    }


def placement(tmp_path: Path, slots: int = 2, **roots: Path) -> Placement:
    return Placement(tmp_path / "runs", slots, cache=tmp_path / "cache", roots=roots)


@pytest.mark.parametrize(("gpus", "field"), [(0, "cpu_s"), (1, "gpu_s")])
def test_the_time_that_processes_are_held_is_the_studys(tmp_path, console, monkeypatch, gpus, field):
    clock = iter(range(10_000))  # every look at it is a second later
    monkeypatch.setattr(feature_pool.time, "monotonic", lambda: float(next(clock)))
    log = RunLog(tmp_path / "runs" / "s")
    place = dataclasses.replace(placement(tmp_path), gpus=gpus, accelerator=SimpleNamespace(device="cpu"))
    fill_cache(PlayedRay(), ARMS, place, console, costs=SideCosts(log))
    spent = dataclasses.asdict(read_side_costs(log)["features"])
    assert spent.pop(field) > 10
    assert list(spent.values()) == [0.0]
    before = (log.root / "side_costs.json").read_bytes()
    fill_cache(PlayedRay(), ARMS, place, console, costs=SideCosts(log))  # all of it is there
    assert (log.root / "side_costs.json").read_bytes() == before


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_entries_are_the_same_bits_whoever_computes_them(tmp_path, console, expected, slots):
    ray = PlayedRay()
    fill_cache(ray, ARMS, placement(tmp_path, slots), console)
    store = ArrayStore(tmp_path / "cache")
    assert files_of(store) == expected
    assert list((store.root / "shards").iterdir()) == []
    assert len(ray.processes) == slots
    assert Counter(method for _, method in ray.calls) == {"images": 1, "shard": 3 * 6, "join": 4}
    assert sorted(map(id, ray.killed)) == sorted(map(id, ray.processes))  # nothing keeps memory afterwards


@pytest.mark.parametrize("places", [1, 2])
def test_fewer_places_than_counted_compute_all_of_it(tmp_path, console, expected, places):
    """A machine was lost and none came for it: the processes that wait for a place hold nothing back."""
    ray = PlayedRay(places=places)
    fill_cache(ray, ARMS, placement(tmp_path, 4), console)
    assert files_of(ArrayStore(tmp_path / "cache")) == expected
    assert len({process for process, _ in ray.calls}) == places
    assert sorted(map(id, ray.killed)) == sorted(map(id, ray.processes))


def test_no_place_at_all_is_said_and_ends_the_command(tmp_path, console, monkeypatch):
    now = iter(range(0, 1_000_000, 30))  # every look at the clock is half a minute later
    monkeypatch.setattr(feature_pool.time, "monotonic", lambda: float(next(now)))
    ray, costs = PlayedRay(places=0), SideCosts(RunLog(tmp_path / "runs" / "s"))
    with pytest.raises(
        RunEndedError, match=r"no process that computes features has got a place for 3.*: each takes 1 CPU; what"
    ):
        fill_cache(ray, ARMS, placement(tmp_path), Console(file=console.file, width=300), costs=costs)
    assert console.file.getvalue().count("this command ends after 30:00") == 1
    assert not (tmp_path / "runs" / "s" / "side_costs.json").exists()  # nobody has held anything
    assert sorted(map(id, ray.killed)) == sorted(map(id, ray.processes))


@pytest.fixture
def toy(monkeypatch) -> TrialConfig:
    """A trial that the toy LTX-Video draws, its pretraining played."""
    monkeypatch.setattr(extract, "pretrain_toy", lambda recipe, folder: (folder / "weights").write_bytes(b"x"))
    data = BASE.data.model_copy(update={"name": "big_shapes", "target_px": 64})
    return TrialConfig(
        data=data, fusion=FusionConfig(conditioning_dim=64), decoder=DecoderConfig(name="ltx"), streams="dinov2"
    )


def test_a_toy_decoder_is_one_step_for_all_that_ask_for_it(tmp_path, console, toy):
    ray, arms = PlayedRay(deaths=(0,)), [toy, toy.with_fields({"data.n_train": 32})]
    fill_cache(ray, arms, placement(tmp_path), console)
    assert ArrayStore(tmp_path / "cache").has(ltx_entry()[0])
    counts = Counter(method for _, method in ray.calls)
    assert counts["ltx"] + counts["images"] == 1 + 2 + 1
    assert counts["join"] == 2
    assert "computed the toy LTX-Video" in console.file.getvalue()


def test_a_toy_decoder_can_be_asked_for_alone(tmp_path, console, toy):
    ray = PlayedRay()
    fill_cache(ray, [toy], placement(tmp_path), console, kinds=("ltx",))
    assert [method for _, method in ray.calls] == ["ltx"]
    fill_cache(ray, [toy], placement(tmp_path), console, kinds=("ltx",))
    assert len(ray.calls) == 1
    assert ArrayStore(tmp_path / "cache").has(ltx_entry()[0])


def test_what_is_computed_is_told(tmp_path, console):
    fill_cache(PlayedRay(), ARMS, placement(tmp_path), console)
    told = console.file.getvalue().splitlines()
    assert told[0] == "computed images (shapes)"
    assert sorted(told[1:]) == [
        "computed DINOv2 B features",
        "computed DINOv2 L features",
        "computed VLM features, layers final, 8",
    ]


def test_a_cache_that_has_everything_starts_no_process(tmp_path, console):
    fill_cache(PlayedRay(), ARMS, placement(tmp_path), console)
    ray = PlayedRay()
    fill_cache(ray, ARMS, placement(tmp_path), console)
    assert ray.processes == []


def test_a_process_loads_an_encoder_once_and_a_free_one_helps_with_what_is_left(tmp_path, console, monkeypatch):
    loaded = []
    monkeypatch.setattr(extract, "load_encoder", lambda *a: loaded.append(a[0].label) or load_encoder(*a))
    for slots, most in ((1, 1), (2, 2)):
        loaded.clear()
        fill_cache(PlayedRay(), ARMS, placement(tmp_path / str(slots), slots), console)
        assert len(set(loaded)) == 3
        assert max(Counter(loaded).values()) <= most


@pytest.mark.parametrize("death", [0, 1, 7, 20])
def test_a_process_that_is_lost_costs_one_step(tmp_path, console, expected, death):
    ray = PlayedRay(deaths=(death,))
    fill_cache(ray, ARMS, placement(tmp_path), console)
    assert files_of(ArrayStore(tmp_path / "cache")) == expected
    assert len(ray.calls) == 1 + 3 * 6 + 4 + 1
    assert len(ray.processes) in (2, 3)


def test_a_step_that_kills_two_processes_ends_the_run_in_a_sentence(tmp_path, console):
    ray = PlayedRay(deaths=(1, 2))
    with pytest.raises(RunEndedError) as caught:
        fill_cache(ray, [BASE.with_fields({"streams": "dinov2"})], placement(tmp_path, slots=1), console)
    assert "computing DINOv2 L features killed 2 processes in the same place" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert set(ray.killed) == set(ray.processes)


def test_the_next_run_goes_on_with_the_first_unfinished_shard(tmp_path, console, monkeypatch, expected):
    seen: list[int] = []
    encode = extract.encode_dinov2

    def fail_late(model, pixels, layers):
        seen.append(len(pixels))
        if len(seen) == 5:
            raise RuntimeError("our own mistake")
        return encode(model, pixels, layers)

    monkeypatch.setattr(extract, "encode_dinov2", fail_late)
    ray = PlayedRay()
    with pytest.raises(RuntimeError, match="a traceback"):  # it is not hidden
        fill_cache(ray, ARMS, placement(tmp_path), console)
    assert set(ray.killed) == set(ray.processes)
    fill_cache(PlayedRay(), ARMS, placement(tmp_path), console)
    assert files_of(ArrayStore(tmp_path / "cache")) == expected
    assert sum(seen) - seen[4] == 2 * 105  # two sizes of DINOv2: every image once, but for the pass that failed


def test_a_damaged_photograph_is_a_wrong_request(tmp_path, console, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "data")
    from coco_writer import CocoWriter, outline, photograph

    writer = CocoWriter(tmp_path / "coco")
    for number in range(8):
        writer.add("val2017", f"{number}.png", photograph(number, 40, 30), outline(5, 5, 20, 10))
    root = writer.write()
    for path in (root / "val2017").iterdir():
        path.write_bytes(path.read_bytes()[:200])
    data = resolve_data(DataConfig(name="coco", n_train=4, n_val=1, n_test=1, image_px=28), root)
    config = BASE.with_fields({f"data.{name}": value for name, value in data.model_dump().items()})
    with pytest.raises(RequestError, match=r"the image '.*png' cannot be read \(.*; replace the file") as caught:
        fill_cache(PlayedRay(), [config], placement(tmp_path, coco=root), console)
    assert "\n" not in str(caught.value)


def test_a_full_disk_ends_the_run_in_a_sentence(tmp_path, console, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RunEndedError, match=r"the feature cache cannot be written to .* \(No space left on device\)"):
        fill_cache(PlayedRay(), ARMS, placement(tmp_path), console)


def test_leftovers_of_a_process_that_died_are_removed(tmp_path, console):
    fill_cache(PlayedRay(), ARMS, placement(tmp_path), console)
    store = ArrayStore(tmp_path / "cache")
    (key,) = Request("dinov2", (BASE,)).keys
    with parts_of(store, key).writer("train-0000000-0000032", {}) as create:
        create("tokens", (1,), "u1")[...] = 1
    fill_cache(PlayedRay(), ARMS, placement(tmp_path), console)
    assert not parts_of(store, key).root.exists()


# --- the display -----------------------------------------------------------------------------------------------------


@pytest.fixture
def now(monkeypatch) -> list[float]:
    """The clock; set `now[0]` to move it."""
    seconds = [100.0]
    monkeypatch.setattr(feature_progress.time, "monotonic", lambda: seconds[0])
    return seconds


def test_lines_tell_images_a_second_and_the_time_left_now_and_then(console, now):
    with feature_progress.FeatureProgress(console) as shown:
        bar = shown.add("VLM features", 1000, 900, is_counted=True)
        shown.add("not begun", 10, 10, is_counted=True)
        now[0] += 60
        shown.begin(bar)
        now[0] += 4
        shown.advance(bar, 200)
        shown.tick()
        now[0] += 1
        shown.tick()
        shown.advance(bar, 700)
        now[0] += 60
        shown.tick()
    (line,) = console.file.getvalue().splitlines()
    assert line == "VLM features: 300 of 1,000 images, 50 images/s, left 0:14, elapsed 0:04"


def test_a_data_set_is_one_step_with_the_time_it_has_taken(console, now):
    with feature_progress.FeatureProgress(console) as shown:
        shown.begin(shown.add("images (coco)", 11_000, 11_000, is_counted=False))
        now[0] += 75
        shown.tick()
    assert console.file.getvalue() == "images (coco): 11,000 images in one step, elapsed 1:15\n"


def test_a_terminal_shows_bars_and_no_lines(now):
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with feature_progress.FeatureProgress(console) as shown:
        bar = shown.add("VLM features [8]", 1000, 900, is_counted=True)
        shown.begin(bar)
        now[0] += 30
        shown.advance(bar, 300)
        shown.tick()
    written = console.file.getvalue()
    assert "VLM features [8]" in written
    assert "10 images/s, left 1:00" in written
    assert "elapsed" not in written
