"""E-P2.3: does the hybrid beat its streams?

Question   The VLM alone, DINOv2 alone and both by cross-attention, trained by the planned two-stage recipe: does the fusion
           reconstruct held-out images better, and from which stream does it take object and background?
Command    python sweeps/p2_fusion.py                   (keeps the trained models: E-P2.4 continues with them)
Trials     4 arms x 5 seeds = 20, whole blocks first
Cost       tiny: 2 to 3 min on 2 cores. full: see --plan
Answer     tiny scale: no: DINOv2 alone better by 0.012 [0.002, 0.023] mask IoU than the hybrid (0.798 [0.790, 0.805], n = 5), the
           VLM alone worse by 0.196; two stages better than MSE + L1; nothing about pretrained encoders, see LOG.md
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
