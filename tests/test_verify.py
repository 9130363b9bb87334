"""A whole run log has no fault, and each way of breaking it has its sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from foresight.claim import Claim
from foresight.config import TrialConfig
from foresight.errors import RequestError
from foresight.runlog import RunLog, config_columns
from foresight.verify import app, find_faults

CLAIM = Claim("?", primary="mask_iou", margin=0.02, alpha=0.05, seeds=2)
KEYS = tuple(TrialConfig().at_seed(seed).key for seed in range(2))


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    """Two seeds of one arm, both complete, three planned."""
    log = RunLog(tmp_path / "small")
    log.write_sweep({"study": "small", "claim": CLAIM.to_json(), "claim_hash": CLAIM.hash})
    configs = [TrialConfig().at_seed(seed) for seed in range(3)]
    planned = [{"key": c.key, "arm": "baseline", "factor": "", "level": "", "seed": c.seed} for c in configs]
    log.write_manifest(planned)
    for row, config in zip(planned[:2], configs, strict=False):
        log.write_trial(
            row
            | {"sweep": "small", "status": "complete", "provenance": "trained", "test/mask_iou": 0.5, "data/n_test": 4}
            | config_columns(config.flat()),
            config=config.model_dump(mode="json"),
            epochs=[{"epoch": 1, "val/loss": 2.0}, {"epoch": 2, "val/loss": 1.0}],
            samples=pd.DataFrame({"sample_hash": list("abcd"), "split": "test", "mask_iou": 0.5}),
        )
    log.trials()
    return log


def rewrite(log: RunLog, name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path = log.trials_dir / KEYS[0] / name
    change(pd.read_parquet(path)).to_parquet(path)


def edit_claim(log: RunLog) -> None:
    sweep = json.loads((log.root / "sweep.json").read_text())
    sweep["claim"]["margin"] = 0.1
    (log.root / "sweep.json").write_text(json.dumps(sweep))


def tear(name: str) -> Callable[[RunLog], None]:
    def cut(log: RunLog) -> None:
        path = log.trials_dir / KEYS[0] / name
        path.write_bytes(path.read_bytes()[:-40])

    return cut


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
