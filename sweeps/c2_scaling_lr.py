"""E2.1, beforehand: which learning rate suits each size of adapter?

Question   5M, 10M, 20M, 50M and 100M parameters at four learning rates, each trained until its validation loss stalls: which
           rate ends with the least validation loss? `c2_scaling` trains each size at its own; test images choose nothing.
Command    python sweeps/c2_scaling_lr.py
Trials     20 cells x 2 seeds = 40, whole blocks first
Cost       tiny: 4 to 7 min on 2 cores. full: at most 16 GPU-hours by --plan's assumption, had every trial the most epochs
Answer     tiny scale: 2e-3 for 5M to 50M and 6e-4 for 100M (all / 100), by validation loss over two seeds
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.c2_scaling_lr import CLAIM, space

SWEEP = Sweep(
    name="c2_scaling_lr",
    question="Which learning rate suits each size of adapter?",
    space=space,
    claim=CLAIM,
    seeds=2,
)

if __name__ == "__main__":
    main(SWEEP)
