"""An arm far behind all others stands at the edge of the figure with its number, and is drawn nowhere else."""

import numpy as np
import pandas as pd
import pytest
from study_writer import FACTORS, space

import analysis
from analysis.far_arms import place_far_arms
from analysis.figure_style import draw, new_figure
from analysis.figure_tradeoff import plot_tradeoff
from analysis.label_placement import place_labels

NONE = pd.Series(False, index=range(6))


def arms(*quality):
    q = pd.Series(quality)
    return pd.DataFrame({"quality": q, "low": q - 0.01, "high": q + 0.01})


def test_places_by_hand():
    found = place_far_arms(arms(0.80, 0.79, 0.78, 0.77, 0.76, 0.30), higher=True, kept=NONE)
    assert found.is_far.tolist() == [False] * 5 + [True]
    # the others reach from 0.75 to 0.81
    assert found.edge == pytest.approx(0.75 - 0.006)
    assert found.limits == pytest.approx((0.75 - 0.006 - 0.0072, 0.81 + 0.0072))


def test_worse_is_up_where_lower_is_better():
    found = place_far_arms(arms(0.20, 0.21, 0.22, 0.23, 0.24, 0.70), higher=False, kept=NONE)
    assert found.is_far.tolist() == [False] * 5 + [True]
    assert found.edge == pytest.approx(0.25 + 0.006)
    assert found.limits[1] > found.edge > 0.25 > found.limits[0]


@pytest.mark.parametrize(
    "quality",
    [
        (0.80, 0.79, 0.78, 0.77, 0.76, 0.60),  # 8 times as far behind as the middle one is 0.2
        (0.80, 0.79, 0.78, 0.77, 0.30, 0.20),  # a third of the arms
        (0.80, 0.80, 0.80, 0.80, 0.80, 0.30),  # nothing to be far by
        (0.30, 0.30, 0.30, 0.30, 0.30, 0.80),  # far ahead is not far behind
    ],
)
def test_others_share_the_axis(quality):
    assert place_far_arms(arms(*quality), higher=True, kept=NONE) is None


def test_an_arm_that_must_be_seen_keeps_its_place():
    kept = NONE.mask(NONE.index == 5, True)
    assert place_far_arms(arms(0.80, 0.79, 0.78, 0.77, 0.76, 0.30), higher=True, kept=kept) is None


def test_the_figure_tells_the_far_arms_own_number(write_study):
    def diverge(trial, row):
        return row | ({"test/mask_iou": 0.05} if trial.arm.name == "fusion.strategy=perceiver" else {})

    study = analysis.load(write_study(space=space(FACTORS), change_row=diverge))
    with_far = plot_tradeoff(study.data, study.pareto())
    texts = [text.get_text() for axes in with_far.axes for text in axes.texts]
    assert any(text.endswith("perceiver 0.050") for text in texts)
    assert all(axes.get_ylim()[0] > 0.05 for axes in with_far.axes)
    drawn = draw("tradeoff", "", "", plot_tradeoff, study.data, study.pareto())
    assert any("perceiver" in text and "mask IoU 0.050" in text for text in drawn.marks)


@pytest.mark.parametrize("seed", [4, 7, 10, 14])
def test_no_line_to_a_name_crosses_another(seed):
    figure = new_figure(3.0)
    axes = figure.subplots()
    points = [(float(x), float(y)) for x, y in np.random.default_rng(seed).uniform(0.46, 0.54, (8, 2))]
    axes.plot(*zip(*points, strict=True), "o")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    figure.draw_without_rendering()
    place_labels(axes, points, [f"strategy={i}" for i in range(8)], [True] * 8)
    leaders = [line.get_xydata() for line in axes.lines[1:]]
    assert len(leaders) > 2
    assert not any(crosses(a, b) for i, a in enumerate(leaders) for b in leaders[:i])


def crosses(a, b):
    """Whether two segments meet, by solving for the point that they share."""
    (p, q), (r, s) = a, b
    matrix = np.column_stack([q - p, r - s])
    if abs(np.linalg.det(matrix)) < 1e-12:
        return False
    t, u = np.linalg.solve(matrix, r - p)
    return 0 <= t <= 1 and 0 <= u <= 1
