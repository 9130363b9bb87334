"""A study that starts from another's trained models, for real: what it needs runs first, and each trial finds its model."""

import shutil
from pathlib import Path

import continued_study
import pytest
from driver import Study

import analysis
from foresight.runlog import RunLog

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3000)]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, feature_cache: Path) -> Study:
    return Study("continued_study.py", tmp_path_factory.mktemp("continued") / "here", feature_cache)


def test_one_command_trains_the_models_and_then_measures_them(study):
    trials = continued_study.SWEEP.space("tiny").trials(2)
    alone = study.run("--one", trials[0].key)
    assert alone.code == 2
    assert "needs 'trained_study', of which 4 of 4 trials are not complete" in alone.err

    ended = study.run()
    assert ended.code == 0, ended
    assert "continued_study needs trained_study, which runs first" in ended.out
    trained = RunLog(study.folder / "runs" / "trained_study")
    rows = study.log.trials()
    assert sorted(rows["key"]) == sorted(trial.key for trial in trials)
    assert set(rows["status"]) == {"complete"}
    assert set(study.log.read_sweep()["sensitivity"]) == {"streams=dinov2"}
    for trial in trials:
        continued = trained.read_trial(trial.config.continued().key)
        row = study.log.read_trial(trial.key)
        assert row["test/mask_iou"] == pytest.approx(continued["test/mask_iou"], rel=1e-5)
        assert row["data/train_hash"] == continued["data/train_hash"]
        assert row["heldout/clips/n"] == 2

    report = analysis.load(study.folder / "runs" / "continued_study")
    assert set(report.heldout()["set"]) == {"clips"}
    assert report.breakdown()["scene"].nunique() == 4

    more_seeds = study.run("--seeds", "3")  # of the models there are two seeds
    assert more_seeds.code == 2
    assert "which no study in" in more_seeds.err
    assert "with as many seeds" in more_seeds.err
    shutil.rmtree(trained.trials_dir / trials[0].config.continued().key)
    again = study.run()  # the run log of the study itself is complete, but a model that it needs is trained again
    assert again.code == 0, again
    assert "trained_study, tiny scale: 1 of 4 trials to run" in again.out
    assert "continued_study, tiny scale: 0 of 4 trials to run" in again.out
