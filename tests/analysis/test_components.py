"""The table of a study that times the components of the pipeline."""

import pytest
from study_writer import FACTORS, space

import analysis

MS = {"vlm": 60.0, "dinov2": 15.0, "fusion": 5.0, "decoder": 20.0}


def with_components(trial, row):
    """Times of 100 ms in all, and 10 ms more of the VLM at seed 1; memory of weights alone."""
    times = MS | {"vlm": 60.0 + 10.0 * trial.seed}
    row |= {f"test/latency_{name}_ms": ms for name, ms in times.items()}
    return (
        row
        | {"test/latency_ms": sum(times.values())}
        | {f"latency/{name}_weights_mb": ms / 2 for name, ms in MS.items()}
    )


@pytest.fixture
def study(write_study):
    return analysis.load(write_study(space=space(FACTORS[1:2]), n_seeds=2, change_row=with_components))


def test_time_share_and_memory_of_each_component_by_hand(study):
    components = study.components()
    assert components["arm"].drop_duplicates().tolist() == study.data.arms
    vlm, dinov2 = components.iloc[0], components.iloc[1]
    assert (vlm["component"], vlm["n_seeds"], vlm["latency_ms"], vlm["weights_mb"]) == ("VLM", 2, 65.0, 30.0)
    assert vlm["share_frac"] == pytest.approx((60 / 100 + 70 / 110) / 2)
    assert vlm["low"] == pytest.approx(65 - 12.706 * 5, abs=0.01)  # t(1) at 97.5 % times sd / sqrt 2
    assert (dinov2["low"], dinov2["latency_ms"], dinov2["high"]) == (15.0, 15.0, 15.0)
    assert components["peak_mb"].isna().all()


def test_a_study_that_times_no_component_has_no_such_table(write_study):
    assert analysis.load(write_study(space=space(FACTORS[1:2]), n_seeds=2)).components().empty
