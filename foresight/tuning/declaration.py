"""What a study puts on record before its first trial: sweep.json, and a row of the manifest for each planned trial."""

import importlib.metadata
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from foresight.amendment import space_changes
from foresight.claim import Claim
from foresight.config import TrialConfig
from foresight.redaction import redact
from foresight.runlog import RunLog, config_columns
from foresight.space import Trial
from foresight.tuning.record import git_commit

TINY_NOTE = (
    "Toy encoders with random weights: these numbers show that the whole path works and how noisy it is. "
    "They say nothing about pretrained encoders."
)
RECORDED_VERSIONS = (
    "torch", "ray", "optuna", "transformers", "timm", "diffusers", "lpips", "torchmetrics", "pandas", "numpy",
)  # fmt: skip


class Declared(Protocol):
    """What a design and a search both say of themselves."""

    @property
    def name(self) -> str: ...
    @property
    def question(self) -> str: ...
    @property
    def claim(self) -> Claim: ...


def write_sweep(
    log: RunLog,
    study: Declared,
    baseline: TrialConfig,
    space: Mapping[str, Any],
    sensitivity: Mapping[str, float] | None = None,
) -> None:
    """Writes sweep.json. `space` is what varies, as a plain tree; what an earlier run recorded of the study stays."""
    stored = log.read_sweep() or {}
    declaration: dict[str, Any] = {
        "study": study.name,
        "question": study.question,
        "scale": baseline.scale,
        "scale_note": TINY_NOTE if baseline.vlm.checkpoint == "random" else "",
        "data": {"name": baseline.data.name, "fingerprint": baseline.data.fingerprint},
        "claim": study.claim.to_json(),
        "claim_hash": study.claim.hash,
        "space": space,
        "amendments": stored.get("amendments", []),
        "space_changes": [
            *stored.get("space_changes", ()),
            *space_changes(stored.get("space"), space, list(log.statuses().values()).count("complete")),
        ],
        "versions": {name: importlib.metadata.version(name) for name in RECORDED_VERSIONS},
        "git_commit": git_commit(),
        "created": stored.get("created") or datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [redact(part) for part in (Path(sys.argv[0]).name, *sys.argv[1:])],
        "sensitivity": _storable(sensitivity) if sensitivity else stored.get("sensitivity", {}),
    }
    log.write_sweep(declaration)


def manifest_row(trial: Trial) -> dict[str, Any]:
    """A planned trial as the manifest holds it."""
    return {
        "key": trial.key,
        "arm": trial.arm.name,
        "factor": trial.arm.factor,
        "level": trial.arm.level,
        "seed": trial.seed,
        "arm_key": trial.config.arm_key,
        **config_columns(trial.config.flat()),
    }


def _storable(sensitivity: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no infinity: an arm whose output cannot be compared (it diverged, or has another shape) is null."""
    return {arm: change if math.isfinite(change) else None for arm, change in sensitivity.items()}
