"""E-P2.2: is DINOv2 alone enough?

Question   An adapter that reads DINOv2 alone, the VLM alone or both, at three sizes: what does each stream reconstruct,
           and what does the second one add at the same number of parameters?
Command    python sweeps/p2_dinov2_only.py
Trials     9 cells x 5 seeds = 45, whole blocks first
Cost       tiny: 2 to 4 min on 2 cores. full: see --plan
Answer     tiny scale: DINOv2 alone (10M: mask IoU 0.757 [0.710, 0.805], n = 5); the VLM alone worse by 0.112 [0.070, 0.153];
           both at the same size +0.015 [-0.026, 0.055], undecided; see LOG.md
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.p2_dinov2_only import CLAIM, space

SWEEP = Sweep(
    name="p2_dinov2_only",
    question="Is DINOv2 alone enough to reconstruct held-out images, and at which size of the adapter?",
    space=space,
    claim=CLAIM,
)

if __name__ == "__main__":
    main(SWEEP)
