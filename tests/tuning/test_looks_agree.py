"""The sweep's looks and those of analysis: of the same arms, as one family, and on the same images or not at all."""

from dataclasses import replace

import pandas as pd
import pytest
from pretended import NAMES, SWEEP, Pretended
from typer.testing import CliRunner, Result

import analysis
from foresight.looks import NUMBERS
from foresight.runlog import RunLog
from foresight.tuning.launch import build_app


@pytest.fixture
def log(tmp_path):
    return RunLog(tmp_path / "runs" / "looked_study")


def until_decided(log: RunLog, *flags: str) -> Result:
    flags = ("--scale", "tiny", "--runs", str(log.root.parent), "--until-decided", *flags)
    return CliRunner().invoke(build_app(SWEEP), flags)


def write_unplanned_arm(log: RunLog) -> None:
    """Rows of an arm that no plan names, as a copy from another run log leaves them."""
    for key, row in {key: log.read_trial(key) for key in log.statuses()}.items():
        if row["arm"] == NAMES[2]:
            known = {name: value for name, value in row.items() if value is not None}
            value = 0.52 + 1e-4 * row["seed"]
            log.write_trial(known | {"key": f"copied-{key}", "arm": "copied", "test/mask_iou": value})


def test_an_arm_that_no_plan_names_is_one_of_the_family_for_both(pretended, log, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("foresight.tuning.looking.record_look", lambda *_: "")
        until_decided(log, "--seeds", "2")
    write_unplanned_arm(log)
    assert until_decided(log, "--seeds", "2").exit_code == 0
    recorded = pd.DataFrame(log.read_looks()).set_index("arm")
    assert set(recorded.index) == {NAMES[1], NAMES[2], "copied"}
    (log.root / "looks.json").unlink()
    taken_by_analysis = analysis.load(log.root).looks().set_index("arm").loc[recorded.index]
    pd.testing.assert_frame_equal(
        recorded[[*NUMBERS]].astype(float), taken_by_analysis[[*NUMBERS]].astype(float), check_exact=False, rtol=1e-12
    )
    assert recorded["p_holm"].min() == pytest.approx(3 * recorded["p"].min())  # three arms beside the baseline


def test_a_look_at_arms_scored_on_different_images_is_refused(pretended, log, monkeypatch):
    write = Pretended._write

    def write_one_arm_elsewhere(made, log, trial):
        elsewhere = {"data/test_hash": "b" * 16, "data/n_test": 8}
        write(replace(made, images=elsewhere) if trial.arm.name == NAMES[1] else made, log, trial)

    monkeypatch.setattr(Pretended, "_write", write_one_arm_elsewhere)
    result = until_decided(log)
    assert result.exit_code == 2
    assert "arms can only be compared on the same test images, but data/test_hash is" in result.stderr
    assert result.stderr.count("\n") == 1
    assert log.read_looks() == []
    assert len(pretended.batches) == 1  # nothing more is run for a look that cannot be taken
