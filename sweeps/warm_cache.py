"""Fills the feature cache for studies before their trials are paid for.

Command    python sweeps/warm_cache.py p2_ablations --scale full --plan    (what it would take; starts nothing)
           python sweeps/warm_cache.py p2_ablations --scale full           (on a cluster: ray job submit -- python ...)
Studies    the names of one or more files of this folder that define a SWEEP
Resume     by the same command: every finished part of 512 images is kept, whatever ended it
"""

import importlib
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from foresight.tuning.sweep import Sweep
from foresight.tuning.warm import main


def names_of(declared: str) -> list[str]:
    """The files of this folder that declare a SWEEP or a SEARCH, found without running them."""
    return [path.stem for path in HERE.glob("*.py") if re.search(rf"^{declared}\b", path.read_text(), re.MULTILINE)]


def load_sweep(name: str) -> Sweep:
    """The study that a file of this folder declares."""
    return importlib.import_module(f"sweeps.{name}").SWEEP


if __name__ == "__main__":
    main(names_of("SWEEP"), load_sweep, names_of("SEARCH"))
