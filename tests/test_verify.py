"""A whole run log has no fault, and each way of breaking it has its sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner
from written_study import CLAIM, KEYS, SPLITS, rewrite, write_study

from foresight.config import TrialConfig
from foresight.errors import RequestError
from foresight.runlog import RunLog
from foresight.set_hash import compute_set_hash
from foresight.side_costs import NAME
from foresight.verify import app, find_faults, find_unfinished


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return write_study(tmp_path / "small")


def edit_claim(log: RunLog) -> None:
    sweep = json.loads((log.root / "sweep.json").read_text())
    sweep["claim"]["margin"] = 0.1
    (log.root / "sweep.json").write_text(json.dumps(sweep))


def tear(name: str) -> Callable[[RunLog], None]:
    def cut(log: RunLog) -> None:
        path = log.trials_dir / KEYS[0] / name
        path.write_bytes(path.read_bytes()[:-40])

    return cut


def split_of(log: RunLog, name: str) -> Path:
    return log.root / "splits" / f"{compute_set_hash(SPLITS[name])}.parquet"


def plan_again(log: RunLog) -> None:
    manifest = log.read_manifest()
    pd.concat([manifest, manifest.head(1).assign(key="other")]).to_parquet(log.root / "manifest.parquet")


BROKEN: dict[str, tuple[Callable[[RunLog], object], str]] = {
    "claim": (edit_claim, "the claim's hash is"),
    "sweep.json": (lambda log: (log.root / "sweep.json").write_text("{"), "sweep.json cannot be read"),
    "no manifest": (lambda log: (log.root / "manifest.parquet").unlink(), "manifest.parquet is missing"),
    "planned twice": (plan_again, "plans arm 'baseline' at seed 0 as"),
    "torn row": (tear("trial.parquet"), "trial.parquet cannot be read"),
    "torn epochs": (tear("epochs.parquet"), "epochs.parquet cannot be read"),
    "epoch lost": (lambda log: rewrite(log, "epochs.parquet", lambda t: t.tail(1)), "are not epochs 1 to 1"),
    "epoch twice": (
        lambda log: rewrite(log, "epochs.parquet", lambda t: pd.concat([t, t.tail(1)])),
        "are not epochs 1 to 3",
    ),
    "samples lost": (lambda log: rewrite(log, "samples.parquet", lambda t: t.head(3)), "3 different test items"),
    "samples gone": (
        lambda log: (log.trials_dir / KEYS[0] / "samples.parquet").unlink(),
        "samples.parquet is missing",
    ),
    "mean forged": (
        lambda log: rewrite(log, "trial.parquet", lambda t: t.assign(**{"test/mask_iou": 0.99})),
        "test/mask_iou is 0.99, and the mean of its samples 0.5",
    ),
    "seed changed": (
        lambda log: rewrite(log, "trial.parquet", lambda t: t.assign(seed=5)),
        "trial.parquet says seed 5, and config.json 0",
    ),
    "no arm": (lambda log: rewrite(log, "trial.parquet", lambda t: t.drop(columns="arm")), "trial.parquet lacks arm"),
    "no claim": (lambda log: (log.root / "sweep.json").write_text("[]"), "sweep.json holds no claim"),
    "row twice": (lambda log: rewrite(log, "trial.parquet", lambda t: pd.concat([t, t])), "has 2 rows"),
    "infinite": (
        lambda log: rewrite(log, "trial.parquet", lambda t: t.assign(**{"test/mask_iou": float("inf")})),
        "test/mask_iou is infinite",
    ),
    "no number": (
        lambda log: rewrite(log, "trial.parquet", lambda t: t.assign(**{"test/mask_iou": float("nan")})),
        "it is complete, and test/mask_iou has no value",
    ),
    "epochs told otherwise": (
        lambda log: rewrite(log, "trial.parquet", lambda t: t.assign(**{"train/epochs_run": 3})),
        "epochs.parquet has 2 epochs, and the row says 3",
    ),
    "epochs gone": (
        lambda log: (log.trials_dir / KEYS[0] / "epochs.parquet").unlink(),
        "epochs.parquet is missing, and the row says 2 epochs",
    ),
    "error of a complete trial": (
        lambda log: rewrite(log, "trial.parquet", lambda t: t.assign(error="nan")),
        "it is complete, and its row holds the error 'nan'",
    ),
    "failure without a reason": (
        lambda log: rewrite(log, "trial.parquet", lambda t: t.assign(status="failed")),
        "it failed, and its row does not say why",
    ),
    "failure with samples": (
        lambda log: rewrite(log, "trial.parquet", lambda t: t.assign(status="failed", error="nan")),
        "it failed, and samples.parquet is there as of a complete trial",
    ),
    "picture that is none": (
        lambda log: (log.trials_dir / KEYS[0] / "examples.png").write_bytes(b"<html>"),
        "the picture examples.png cannot be read (no PNG)",
    ),
    "torn picture": (tear("examples.png"), "the picture examples.png cannot be read ("),
    "torn latency": (
        lambda log: (log.root / "latency" / "a1.parquet").write_bytes(b"PAR1"),
        "latency/a1.parquet cannot",
    ),
    "latency of another arm": (
        lambda log: (log.root / "latency" / "a1.parquet").rename(log.root / "latency" / "b2.parquet"),
        "latency/b2.parquet holds 1 rows of a1, not that arm's one",
    ),
    "memory of another arm": (
        lambda log: log.write_arm("memory", "b2", {"arm_key": "a1", "gpu_mb": 1.0}),
        "memory/b2.parquet holds 1 rows of a1, not that arm's one",
    ),
    "memory of no GPU": (
        lambda log: log.write_arm("memory", "a1", {"arm": "baseline"}),
        "memory/a1.parquet holds no size of a GPU in gpu_mb",
    ),
    "latency without a time": (
        lambda log: log.write_latency("a1", {"arm": "baseline", "latency_ms": float("nan")}),
        "latency/a1.parquet holds no time in latency_ms",
    ),
    "split of other images": (
        lambda log: pd.DataFrame({"sample_hash": ["x"]}).to_parquet(split_of(log, "test")),
        "holds other images than its name says",
    ),
    "split gone": (lambda log: split_of(log, "train").unlink(), "the hashes of its train images, is missing"),
    "torn looks": (lambda log: (log.root / "looks.json").write_text("["), "looks.json cannot be read"),
    "look that was not declared": (
        lambda log: log.write_looks([log.read_looks()[0] | {"alpha_at_look": 0.5}]),
        "which the claim does not declare",
    ),
    "look taken twice": (
        lambda log: log.write_looks([*log.read_looks(), log.read_looks()[0]]),
        "looks.json holds the test of a at look 1 twice",
    ),
    "torn costs": (lambda log: log.write(NAME, b'{"gpu_s"'), "side_costs.json does not hold gpu_s and cpu_s"),
    "costs below zero": (
        lambda log: log.write(NAME, b'{"memory": {"gpu_s": -1.0}}'),
        "side_costs.json does not hold gpu_s and cpu_s",
    ),
    "newer schema": (
        lambda log: rewrite(log, "trial.parquet", lambda t: t.assign(schema_version=99)),
        "written in schema 99",
    ),
    "unknown status": (
        lambda log: rewrite(log, "trial.parquet", lambda t: t.assign(status="finished")),
        "status 'finished'",
    ),
    "other folder": (
        lambda log: shutil.copytree(log.trials_dir / KEYS[0], log.trials_dir / "copy"),
        "copy: trial.parquet is of the trial",
    ),
    "no config": (
        lambda log: (log.trials_dir / KEYS[0] / "config.json").unlink(),
        "config.json is missing, so nothing shows what its key is of",
    ),
    "file for a trial": (
        lambda log: (log.trials_dir / "full-s0-00000000").write_text("lost"),
        "trials/full-s0-00000000 is a file where the folder of a trial should be",
    ),
    "config changed": (
        lambda log: (log.trials_dir / KEYS[0] / "config.json").write_text(
            json.dumps(TrialConfig().at_seed(7).model_dump(mode="json"))
        ),
        "config.json is that of the trial",
    ),
}


def test_a_whole_run_log_has_no_fault_also_while_trials_are_running(log):
    (log.trials_dir / "running").mkdir()
    (log.trials_dir / "running" / ".trial.parquet.17.tmp").write_bytes(b"half")
    assert list(find_faults(log)) == []
    result = CliRunner().invoke(app, [str(log.root)])
    assert (result.exit_code, "2 recorded and 3 planned trials" in result.stdout) == (0, True)


def test_a_half_written_file_is_named_and_no_fault(log):
    (log.trials_dir / KEYS[0] / ".epochs.parquet.0f.tmp").write_bytes(b"half")
    assert list(find_faults(log)) == []
    result = CliRunner().invoke(app, [str(log.root)])
    assert result.exit_code == 0
    assert (
        f"1 temporary file of a writer that died or still writes (trials/{KEYS[0]}/.epochs.parquet.0f.tmp)"
        in result.stdout
    )


def test_a_stopped_trial_has_the_epochs_that_it_reached(log):
    stopped = {"status": "stopped", "train/epochs_run": 2}
    rewrite(log, "trial.parquet", lambda t: t.assign(**stopped).drop(columns="test/mask_iou"))
    (log.trials_dir / KEYS[0] / "samples.parquet").unlink()
    assert list(find_faults(log)) == []
    rewrite(log, "epochs.parquet", lambda t: t.head(1))
    assert list(find_faults(log)) == [f"{KEYS[0]}: epochs.parquet has 1 epochs, and the row says 2"]
    (log.trials_dir / KEYS[0] / "epochs.parquet").unlink()
    (fault,) = find_faults(log)
    assert "it was stopped, and epochs.parquet, which shows how far it came, is missing" in fault


@pytest.mark.parametrize("name", BROKEN)
def test_each_way_of_breaking_it_is_told(log, name):
    damage, sentence = BROKEN[name]
    damage(log)
    assert any(sentence in fault for fault in find_faults(log))
    assert CliRunner().invoke(app, [str(log.root)]).exit_code == 1


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(RequestError, match="holds no study"):
        list(find_faults(RunLog(tmp_path)))
    assert CliRunner().invoke(app, [str(tmp_path)]).exit_code == 2


def test_a_study_whose_driver_died_before_it_wrote_the_plan_has_no_fault(tmp_path):
    log = RunLog(tmp_path / "begun")
    log.write_sweep({"study": "begun", "claim": CLAIM.to_json(), "claim_hash": CLAIM.hash})
    assert list(find_faults(log)) == []


def test_finished_asks_for_a_record_of_every_planned_trial_and_of_no_other(log):
    left, *_ = (key for key in log.read_manifest()["key"] if key not in KEYS)
    assert list(find_unfinished(log)) == [f"{left}: is planned and has no record"]
    result = CliRunner().invoke(app, [str(log.root), "--finished"])
    assert (result.exit_code, left in result.stdout) == (1, True)
    manifest = log.read_manifest()
    manifest[manifest["key"] == KEYS[0]].to_parquet(log.root / "manifest.parquet")
    assert list(find_unfinished(log)) == [f"{KEYS[1]}: is recorded and was never planned"]
