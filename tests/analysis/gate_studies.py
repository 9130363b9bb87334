"""Studies at full scale, small enough to load at once, for the tests of gates and waivers."""

from dataclasses import replace
from pathlib import Path

from study_writer import CLAIM, space
from study_writer import SWEEP as TINY_SWEEP

from foresight.claim import Criterion
from foresight.space import Factor

SWEEP = TINY_SWEEP | {"scale": "full", "scale_note": ""}
FEW = space((Factor("layers", "fusion.layers", (2, 4)),))
MET = replace(CLAIM, criteria=(Criterion("mask_iou", 0.7, 0.6, 0.5),))
WAIVER = {
    "study": "p2_end_to_end",
    "metric": "lpips",
    "name": "Ada Lovelace",
    "date": "2026-11-20",
    "reason": "no trunk",
}


def waivers_yaml(tmp_path: Path, *waivers: dict) -> Path:
    path = tmp_path / "waivers.yaml"
    rows = ["\n    ".join(f"{name}: {value}" for name, value in waiver.items()) for waiver in waivers]
    path.write_text("waivers:\n" + "".join(f"  - {row}\n" for row in rows))
    return path
