"""E-P2.3: does the hybrid beat its streams?

Question   The VLM alone, DINOv2 alone and both by cross-attention, trained by the planned two-stage recipe: does the fusion
           reconstruct held-out images better, and from which stream does it take object and background?
Command    python sweeps/p2_fusion.py                   (keeps the trained models: E-P2.4 continues with them)
Trials     4 arms x 5 seeds = 20, whole blocks first
Cost       tiny: 2 to 3 min on 2 cores. full: see --plan
Answer     tiny scale: the hybrid (mask IoU 0.466 +- 0.019, n = 5) beats the VLM alone (worse by 0.111 [0.075, 0.147]); against
           DINOv2 alone undecided (-0.023 [-0.051, 0.006]); MSE + L1 worse than two stages; see LOG.md
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.p2_fusion import CLAIM, space

SWEEP = Sweep(
    name="p2_fusion",
    question="Does the fusion of VLM and DINOv2 reconstruct held-out images better than either stream alone?",
    space=space,
    claim=CLAIM,
    keep_weights=True,
)

if __name__ == "__main__":
    main(SWEEP)
