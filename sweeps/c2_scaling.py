"""E2.1: do 10M parameters of an adapter do what 100M do?

Question   The query adapter with 5M, 10M, 20M, 50M and 100M parameters, each at its own learning rate and trained until its
           validation loss stalls: is a smaller one as good on held-out images as the largest, and how much sooner trained?
Command    python sweeps/c2_scaling.py                       (c2_scaling_lr runs first where it is not complete)
Trials     5 arms x 5 seeds = 25, whole blocks first
Cost       tiny: 3 to 5 min on 2 cores, the search apart. full: at most 10 GPU-hours by --plan's assumption
Answer     tiny scale: no size is told apart: "10M" against "100M" -0.012 [-0.030, 0.007] mask IoU (n = 5), undecided; 20M and 50M
           non-inferior; 10M trains in 0.47 [0.32, 0.63] of the time; nothing about pretrained encoders, see LOG.md
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.c2_scaling import CLAIM, choose, space
from sweeps.c2_scaling_lr import SWEEP as C2_SCALING_LR

SWEEP = Sweep(
    name="c2_scaling",
    question="Do 10M parameters of an adapter reconstruct held-out images as well as 100M do?",
    space=space,
    claim=CLAIM,
    needs=(C2_SCALING_LR,),
    choose=choose,
)

if __name__ == "__main__":
    main(SWEEP)
