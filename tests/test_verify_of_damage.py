"""What is damaged in a way that no check has thought of is a fault as well, and never ends in a traceback."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner
from written_study import KEYS, rewrite, write_study

from foresight.runlog import RunLog
from foresight.verify import app, find_faults

DAMAGED: dict[str, tuple[Callable[[RunLog], object], str]] = {
    "damaged claim of a driver": (
        lambda log: log.files.write(".driver/0.json", b"{"),
        "the claim .driver/0.json in",
    ),
    "plan without keys": (
        lambda log: log.read_manifest().drop(columns="key").to_parquet(log.root / "manifest.parquet"),
        "manifest.parquet holds no plan: it has no column key",
    ),
    "plan without arms": (
        lambda log: log.read_manifest().drop(columns="arm").to_parquet(log.root / "manifest.parquet"),
        "it has no column arm",
    ),
    "empty plan": (
        lambda log: pd.DataFrame().to_parquet(log.root / "manifest.parquet"),
        "it has no column key or arm or seed",
    ),
    "samples without hashes": (
        lambda log: rewrite(log, "samples.parquet", lambda t: t.drop(columns="sample_hash")),
        "cannot be checked",
    ),
    **{
        f"text in {name}": (
            lambda log, name=name: rewrite(log, "trial.parquet", lambda t: t.assign(**{name: "many"})),
            f"{KEYS[0]}: ",
        )
        for name in ("schema_version", "seed", "data/n_test", "test/mask_iou", "train/epochs_run")
    },
    "text in latency_ms": (
        lambda log: log.write_latency("a1", {"arm": "baseline", "latency_ms": "slow"}),
        "latency: cannot be checked",
    ),
    "claim of another kind": (
        lambda log: (log.root / "sweep.json").write_text('{"claim": 3}'),
        "sweep.json: the claim's hash is",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_each_damage_is_told_and_the_rest_is_looked_at_all_the_same(tmp_path: Path, name: str):
    log = write_study(tmp_path / "small")
    damage, sentence = DAMAGED[name]
    damage(log)
    (log.trials_dir / KEYS[1] / "samples.parquet").unlink()  # another trial's fault
    faults = list(find_faults(log))
    assert any(sentence in fault for fault in faults)
    assert any(fault.startswith(f"{KEYS[1]}: samples.parquet is missing") for fault in faults)
    result = CliRunner().invoke(app, [str(log.root)])
    assert (result.exit_code, result.stderr) == (1, "")
