"""Latencies of different hours or machines in one table are said to be so."""

from pathlib import Path

import pandas as pd
import pytest

import analysis
from foresight.runlog import RunLog

FIRST = {"measured": "2026-11-20T08:00:00+00:00", "host": "here"}
LATER = {"measured": "2026-11-21T09:30:00+00:00", "host": "there"}


def stamp(path: Path, occasions: list[dict]) -> None:
    """Rewrites the latency rows with the occasions in turn."""
    log = RunLog(path)
    for i, row in enumerate(log.read_latency().to_dict("records")):
        log.write_latency(row.pop("arm_key"), row | occasions[i % len(occasions)])


def said(path: Path) -> list[str]:
    return [caution.text for caution in analysis.load(path).cautions() if "Latencies were" in caution.text]


@pytest.mark.parametrize("occasions", [[{}], [FIRST], [LATER]])
def test_one_occasion_is_no_matter(write_study, occasions):
    path = write_study(n_seeds=1)
    stamp(path, occasions)
    assert said(path) == []


def test_two_occasions_are_named_with_their_arms(write_study):
    path = write_study(n_seeds=1)
    stamp(path, [FIRST, FIRST, LATER])
    (text,) = said(path)
    assert "on 2 occasions (" in text
    assert "2026-11-20T08:00:00+00:00 on here for 10 arms" in text
    assert "2026-11-21T09:30:00+00:00 on there for 5 arms" in text


def test_rows_of_before_the_occasion_was_recorded_are_one_of_their_own(write_study):
    path = write_study(n_seeds=1)
    stamp(path, [{}, FIRST, FIRST])
    (text,) = said(path)
    assert "an unknown occasion for 5 arms" in text


def test_a_study_without_latencies_has_nothing_to_say(write_study):
    path = write_study(n_seeds=1, with_latency=False)
    assert said(path) == []
    assert isinstance(analysis.load(path).data.latency, pd.DataFrame)
