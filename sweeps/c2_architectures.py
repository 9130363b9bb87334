"""E2.2: which adapter architecture is best at one budget?

Question   Query, bottleneck, LoRA-style, perceiver and mixture of experts with equally many trained parameters, decoder
           apart: does one of them reconstruct held-out images better, sooner or faster than the query adapter?
Command    python sweeps/c2_architectures.py
Trials     5 arms x 5 seeds = 25, whole blocks first
Cost       tiny: 2 to 7 min on 2 cores. full: 2.4 GPU-hours by --plan's assumption
Answer     tiny scale: no architecture decided better than query (mask IoU 0.781 +- 0.007, n = 5), perceiver worse by 0.074
           [0.054, 0.095], three undecided; nothing about pretrained encoders, see LOG.md
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.c2_architectures import CLAIM, space

SWEEP = Sweep(
    name="c2_architectures",
    question="Which adapter architecture reconstructs held-out images best at one budget of parameters?",
    space=space,
    claim=CLAIM,
)

if __name__ == "__main__":
    main(SWEEP)
