"""What `--plan` says of power: from the study's own noise, else from other studies', else that it is unknown."""

from pathlib import Path

import numpy as np
import pytest
import small_study

from foresight.runlog import RunLog
from foresight.space import PROPOSAL
from foresight.tuning.planned_power import plan_power, power_line
from foresight.tuning.record import Planned
from foresight.tuning.study import Study, open_study
from foresight.tuning.sweep import Placement


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return open_study(small_study.SWEEP, "tiny", None, 2, Placement(runs=tmp_path, slots=1, cache=tmp_path / "cache"))


def write(log: RunLog, n_seeds: int, sd: float, **columns: object) -> None:
    if not (log.root / "sweep.json").exists():
        log.write_sweep({"study": log.root.name, "scale": "tiny"})
    for trial in small_study.SWEEP.space("tiny").trials(n_seeds):
        rng = np.random.default_rng([trial.seed, *trial.arm.name.encode()])
        row = Planned(trial, log.root.name, attempt=1).identity() | {"status": "complete", "data/test_hash": "a" * 16}
        log.write_trial(row | {"test/mask_iou": 0.5 + 0.1 * trial.seed + sd * rng.normal()} | columns)


def test_without_two_blocks_anywhere_it_is_unknown_and_says_so(study, tmp_path):
    found = plan_power(study)
    assert (found["paired_sd"], found["at_margin"], found["detectable"]) == (None, None, None)
    assert power_line(found).startswith("power at the margin of 0.02 Mask IoU: unknown before two blocks are complete")
    write(study.log, 1, 0.01)
    assert plan_power(study)["paired_sd"] is None
    assert not (tmp_path / "other").exists()


def test_its_own_noise_comes_first(study, tmp_path):
    write(RunLog(tmp_path / "other"), 40, 0.1)
    others = plan_power(study)
    assert others["noise_from"] == "as in other"
    assert others["paired_sd"] == pytest.approx(0.1 * np.sqrt(2), rel=0.3)
    write(study.log, 40, 0.001)
    found = plan_power(study)
    assert found["noise_from"] == "the middle one of 2 arms of this run log, 80 differences"
    assert found["paired_sd"] == pytest.approx(0.001 * np.sqrt(2), rel=0.3)
    assert (found["n_seeds"], found["n_compared"], found["level"], found["margin"]) == (2, 2, 0.05, 0.02)
    assert found["at_margin"] > others["at_margin"]
    assert 0 < found["detectable"] < 1
    assert "at 2 seeds a true difference of 0.02 Mask IoU (the margin) is found with power" in power_line(found)


def test_of_several_studies_the_middle_one_counts(study, tmp_path):
    for name, sd in (("calm", 0.001), ("middling", 0.01), ("wild", 0.1)):
        write(RunLog(tmp_path / name), 20, sd)
    write(RunLog(tmp_path / "simulated"), 20, 10.0, provenance="simulated")
    assert plan_power(study)["noise_from"] == "as in middling, the middle one of 3 other studies"


def test_the_proposals_of_a_search_are_no_noise_to_plan_with(study, tmp_path):
    write(RunLog(tmp_path / "search"), 20, 0.1, factor=PROPOSAL)
    assert plan_power(study)["paired_sd"] is None
    write(RunLog(tmp_path / "declared"), 20, 0.01)
    assert plan_power(study)["noise_from"] == "as in declared"


def test_what_no_two_values_can_differ_by_is_not_promised(study):
    write(study.log, 10, 0.1)
    found = plan_power(study)  # two seeds decide next to nothing
    assert found["detectable"] is None
    assert "no possible one with 0.8" in power_line(found)


def test_trials_on_other_test_images_are_no_noise(study):
    write(study.log, 10, 0.001)
    trial = small_study.SWEEP.space("tiny").trials(10)[1]
    row = study.log.read_trial(trial.key) | {"data/test_hash": "b" * 16, "test/mask_iou": 100.0}
    study.log.write_trial({name: value for name, value in row.items() if value is not None})
    found = plan_power(study)
    assert found["paired_sd"] < 0.01
    assert "19 differences" in found["noise_from"]
