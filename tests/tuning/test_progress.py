import io

import pytest
from rich.console import Console

from foresight.tuning import progress
from foresight.tuning.progress import SweepProgress, clock


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock; set `now[0]` to move it."""
    seconds = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds[0])
    return seconds


def plain() -> Console:
    return Console(file=io.StringIO(), width=40)


def written(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3723, "1:02:03")])
def test_a_clock_shows_hours_only_when_there_are_some(seconds, shown):
    assert clock(seconds) == shown


def test_a_line_counts_done_running_failed_and_the_time_left(now):
    with SweepProgress(plain(), 4, 2, "mask_iou") as shown:
        assert "left unknown" in shown.line()
        for key in "abc":
            shown.start(key)
        now[0] = 30.0
        shown.finish("a", "baseline", None, 0.5)
        shown.finish("b", "film", "DivergedError", None)
        line = shown.line()
    assert (
        line
        == "2/4 trials, 1 running, 1 failed, elapsed 0:30, left 0:30, best so far baseline (validation Mask IoU 0.500, n=1)"
    )


@pytest.mark.parametrize(("metric", "best"), [("mask_iou", "high"), ("lpips", "low")])
def test_the_best_arm_follows_the_metrics_direction_among_the_most_seeds(now, metric, best):
    shown = SweepProgress(plain(), 9, 2, metric)
    for arm, values in {"high": (0.8, 0.6), "low": (0.2, 0.4), "lucky": (0.99,), "unlucky": (0.01,)}.items():
        for value in values:
            shown.finish(arm, arm, None, value)
    assert shown.best().startswith(f"{best} (")
    assert shown.best().endswith("n=2)")


def test_plain_lines_are_rare_but_failures_and_the_end_are_always_told(now):
    console = plain()
    with SweepProgress(console, 4, 2, "mask_iou") as shown:
        shown.finish("a", "baseline", None, 0.5)
        assert written(console) == []
        shown.finish("b", "film", "DivergedError: the loss became nan [between] steps", None)
        assert written(console) == ["failed b (film): DivergedError: the loss became nan [between] steps"]
        now[0] = 6.0
        shown.finish("c", "baseline", None, 0.5)
        shown.start("d")  # told when the slot is filled again, so that `running` is what it mostly is
        shown.finish("d", "baseline", None, 0.5)
    lines = written(console)
    assert [line.split(",")[:2] for line in lines[1:]] == [["3/4 trials", " 1 running"], ["4/4 trials", " 0 running"]]


def test_a_terminal_shows_a_live_panel_and_keeps_the_last_state(now):
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with SweepProgress(console, 2, 2, "mask_iou") as shown:
        shown.start("a")
        shown.finish("a", "baseline", None, 0.5)
        shown.finish("b", "film", "died", None)
    text = console.file.getvalue()
    assert "failed b (film): died" in text
    assert "2/2" in text.split("died")[-1]
    assert "best so far baseline" in text.split("died")[-1]
