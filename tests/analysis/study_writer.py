"""Writes a small run log with seeded numbers through RunLog, as a sweep would: 15 arms around one baseline, 5 seeds."""

import copy
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from foresight.claim import Claim, Criterion
from foresight.config import TrialConfig
from foresight.metrics import METRICS
from foresight.runlog import RunLog, config_columns
from foresight.set_hash import compute_set_hash
from foresight.space import Factor, SearchSpace, Trial
from foresight.split_log import write_split

FACTORS = (
    Factor("fusion strategy", "fusion.strategy", ("cross_attention", "concat", "film", "perceiver")),
    Factor("fusion layers", "fusion.layers", (2, 4, 6, 8)),
    Factor("output queries", "fusion.queries", (32, 64, 128)),
    Factor("VLM layer", "vlm.layer", ("8", "14", "final")),
    Factor("DINOv2 size", "dinov2.size", ("B", "L", "G")),
    Factor("VLM weight", "fusion.vlm_weight", (0.3, 0.5, 0.7)),
)
LEVEL_NOTES = {"VLM layer": {"8": "layer 1 of 4", "14": "layer 2 of 4", "final": "layer 4 of 4"}}
SCALE_NOTE = "Encoders are toy-size with random weights: these numbers say nothing about pretrained encoders."
# What each arm adds to the baseline's mask IoU; the other metrics follow it.
EFFECTS = {
    "fusion.strategy=concat": -0.19,
    "fusion.strategy=perceiver": 0.05,
    "fusion.layers=2": -0.03,
    "dinov2.size=B": -0.04,
}
CLAIM = Claim(
    statement="Cross-attention fusion places objects better than pooling does.",
    primary="mask_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    criteria=(
        Criterion("mask_iou", target=0.70, acceptable=0.60, failure=0.50),
        Criterion("lpips", target=0.25, acceptable=0.35, failure=0.45),
    ),
)
# Content hashes of the images of each split.
SPLITS = {split: [f"{split}-{i:04d}" for i in range(n)] for split, n in (("train", 512), ("val", 64), ("test", 200))}
SET_HASHES = {f"data/{split}_hash": compute_set_hash(images) for split, images in SPLITS.items()}
MEASURED = ("mask_iou", "box_iou", "lpips_random_trunk", "ssim", "psnr", "mse")
METRIC_IDS = " ".join(METRICS[name].id for name in MEASURED)
SWEEP: dict[str, Any] = {
    "question": "Which choices of the fusion module carry the reconstruction?",
    "scale": "tiny",
    "scale_note": SCALE_NOTE,
    "data": {"name": "shapes", "fingerprint": ""},
    "versions": {"torch": "2.14.1", "python": "3.11.7"},
    "git_commit": "028f876",
    "created": "2026-11-20T08:00:00+00:00",
}


def space(factors: tuple[Factor, ...] = FACTORS, design: str = "one_at_a_time") -> SearchSpace:
    return SearchSpace(TrialConfig(), factors, design)  # type: ignore[arg-type]


@dataclass
class StudyWriter:
    """Writes one study; `change_row` may alter or drop (None) a trial's row before it is written."""

    root: Path
    space: SearchSpace = field(default_factory=space)
    sweep: dict[str, Any] = field(default_factory=lambda: copy.deepcopy(SWEEP))
    claim: Claim = CLAIM
    n_seeds: int = 5
    change_row: Callable[[Trial, dict[str, Any]], dict[str, Any] | None] = lambda trial, row: row
    with_latency: bool = True
    with_details: bool = False  # epochs, samples and pictures, which only the report reads

    def write(self) -> Path:
        log = RunLog(self.root)
        baseline = self.space.baseline.flat()
        factors = [
            {
                "name": f.name,
                "field": f.field,
                "instead": dict(f.instead),
                "levels": list(f.levels),
                "level_notes": LEVEL_NOTES.get(f.name, {}),
            }
            for f in self.space.factors
        ]
        declared = {"design": self.space.design, "baseline": baseline, "factors": factors}
        log.write_sweep({**self.sweep, "study": self.root.name, "space": declared, **self._claimed()})
        for images in SPLITS.values():
            write_split(log, images)
        trials = self.space.trials(self.n_seeds)
        log.write_manifest([self._planned(trial) for trial in trials])
        for trial in trials:
            row = self.change_row(trial, self._row(trial))
            if row is not None:
                details = (_epochs(row), _samples(row), {"examples": _examples_png(trial)}) if self.with_details else ()
                log.write_trial(row, trial.config.model_dump(mode="json"), *details)
        for i, arm in enumerate(self.space.arms() if self.with_latency else []):
            median = 11.0 + 0.35 * i
            cost = {
                "latency_q25_ms": median - 0.2,
                "latency_q75_ms": median + 0.3,
                "encoders_ms": 9.0,
                "bridge_ms": median - 9,
            }
            stand = {"n_repeats": 50, "device": "cpu", "threads": 1}
            log.write_latency(arm.config.arm_key, {"arm": arm.name, "latency_ms": median, **cost, **stand})
        return self.root

    def _claimed(self) -> dict[str, Any]:
        return {"claim": self.claim.to_json(), "claim_hash": self.claim.hash}

    def _planned(self, trial: Trial) -> dict[str, Any]:
        arm = trial.arm
        named = {"key": trial.key, "arm": arm.name, "factor": arm.factor, "level": arm.level, "seed": trial.seed}
        return named | {"arm_key": arm.config.arm_key} | config_columns(trial.config.flat())

    def _row(self, trial: Trial) -> dict[str, Any]:
        arm, rng = trial.arm, np.random.default_rng([trial.seed, len(trial.arm.name), sum(map(ord, trial.arm.name))])
        block = np.random.default_rng(trial.seed).normal(0, 0.012)
        iou = 0.655 + EFFECTS.get(arm.name, 0.0) + block + rng.normal(0, 0.006)
        params = 200_000 + 60_000 * trial.config.fusion.layers + 500 * trial.config.fusion.queries
        params = params // 2 if trial.config.fusion.strategy == "concat" else params
        return {
            "key": trial.key, "sweep": self.root.name, "arm": arm.name, "factor": arm.factor, "level": arm.level,
            "seed": trial.seed, "status": "complete", "provenance": "trained", **config_columns(trial.config.flat()),
            "test/mask_iou": iou, "test/box_iou": iou - 0.1 + rng.normal(0, 0.01),
            "test/lpips_random_trunk": 0.5 - 0.3 * iou + rng.normal(0, 0.005), "test/ssim": 0.2 + 0.7 * iou,
            "test/psnr": 12 + 9 * iou + rng.normal(0, 0.1), "test/mse": 0.05 - 0.04 * iou + rng.normal(0, 0.0005),
            "val/mse": 0.05 - 0.04 * iou, "baseline/mean_image/mse": 0.0507,
            "baseline/mean_image/mask_iou": 0.231, "baseline/centred_disc/mask_iou": 0.481,
            "data/n_test": 200, "data/n_train": 512, "data/n_val": 64, **SET_HASHES,
            "cost/params_total": params + 90_000, "cost/params_trained": params, "cost/params_decoder": 90_000,
            "cost/train_s": 20.0 + trial.seed, "cost/gpu_s": 0.0, "cost/peak_memory_mb": 900.0,
            "env/device": "cpu", "env/torch": "2.14.1", "env/claim_hash": self.claim.hash,
            "env/metric_ids": METRIC_IDS, "env/lpips_trunk": "random seed 0",
        }  # fmt: skip


def _epochs(row: dict[str, Any]) -> list[dict[str, Any]]:
    end = row.get("test/mask_iou") or 0.5
    shape = 1 - np.exp(-np.arange(1, 11) / 3)
    return [
        {
            "epoch": i,
            "step": 32 * i,
            "wall_s": 2.0 * i,
            "train/loss": 0.3 - 0.2 * s,
            "val/loss": 0.4 - 0.2 * s,
            "val/mask_iou": end * s,
            "val/mse": 0.05 - 0.03 * s,
        }
        for i, s in enumerate(shape, start=1)
    ]


def _samples(row: dict[str, Any]) -> pd.DataFrame:
    """The test images, half of them above the trial's mask IoU by what the others are below it, inside its range."""
    images, iou = SPLITS["test"], row.get("test/mask_iou") or 0.5
    spread = min(0.05, iou, 1 - iou)
    around = np.tile([-spread, spread], len(images) // 2)
    return pd.DataFrame(
        {
            "sample_hash": images,
            "split": "test",
            "scene": np.arange(len(images)) % 4,
            "mask_iou": iou + around,
        }
    )


def _examples_png(trial: Trial) -> bytes:
    """Four rows of eight pictures of noise."""
    pixels = np.random.default_rng(trial.seed).integers(0, 255, (4 * 16, 8 * 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def with_gaps(trial: Trial, row: dict[str, Any]) -> dict[str, Any] | None:
    """One failed, one stopped and one missing trial."""
    if trial.seed == 4 and trial.arm.name == "fusion.layers=8":
        kept = {name: v for name, v in row.items() if not name.startswith(("test/", "val/", "baseline/", "cost/"))}
        return kept | {"status": "failed", "error": "RuntimeError: loss became nan between steps 64 and 96 <b>"}
    if trial.seed == 3 and trial.arm.name == "fusion.queries=128":
        return row | {"status": "stopped", "test/mask_iou": 0.99}
    return None if trial.seed == 2 and trial.arm.name == "vlm.layer=8" else row
