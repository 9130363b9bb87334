"""The manifest of a search that runs: every planned trial is on record at once, and once, whatever dies in between."""

import pandas as pd
import pytest

from foresight import manifest
from foresight.manifest import ADDED, MANIFEST, GrowingManifest
from foresight.runlog import RunLog


def row(number: int) -> dict[str, object]:
    return {"key": f"k{number:02d}", "arm": f"p{number}", "seed": 0, "config/lr": None if number % 2 else 0.1 * number}


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch):
    monkeypatch.setattr(manifest, "MOST_ADDED", 3)


def planned(log: RunLog) -> list[str]:
    return log.read_manifest()["key"].tolist()


def test_each_planned_trial_is_on_record_when_add_returns_and_the_whole_is_written_now_and_then(tmp_path):
    log, wholes = RunLog(tmp_path), set()
    growing = GrowingManifest(log)
    for number in range(12):
        growing.add(row(number))
        growing.add(row(number))
        assert planned(log) == [f"k{n:02d}" for n in range(number + 1)]
        wholes.add((tmp_path / MANIFEST).stat().st_ino)
    assert len(wholes) == 3  # of 12: after the first, and whenever three lie beside it and one more comes
    assert log.read_manifest()["config/lr"].dropna().tolist() == pytest.approx([0.1 * n for n in range(0, 12, 2)])
    growing.fold()
    assert pd.read_parquet(tmp_path / MANIFEST)["key"].tolist() == planned(log)


def test_what_a_driver_that_died_left_beside_the_manifest_is_kept_by_the_next(tmp_path):
    log = RunLog(tmp_path)
    died = GrowingManifest(log)
    for number in range(3):
        died.add(row(number))
    assert len(pd.read_parquet(tmp_path / ADDED)) == 2
    growing = GrowingManifest(RunLog(tmp_path))
    growing.add(row(2))
    growing.add(row(3))
    assert planned(log) == ["k00", "k01", "k02", "k03"]


def test_a_design_that_is_planned_again_is_not_written_again(tmp_path):
    log = RunLog(tmp_path)
    log.write_manifest([row(0), row(1)])
    written = (tmp_path / MANIFEST).stat().st_ino
    log.write_manifest([row(1), row(0)])
    assert (tmp_path / MANIFEST).stat().st_ino == written
    log.write_manifest([row(1), row(2)])
    assert planned(log) == ["k00", "k01", "k02"]
