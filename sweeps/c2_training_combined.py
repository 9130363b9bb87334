"""E2.3, continued: are the best levels of the training strategy better together than the planned recipe?

Question   Of each factor of c2_training the level with the best validation mask IoU, all of them in one recipe: does it
           reconstruct held-out images better than the planned recipe, at seeds that chose nothing?
Command    python sweeps/c2_training_combined.py             (c2_training runs first where it is not complete)
Trials     2 arms x 5 seeds = 10, whole blocks first
Cost       tiny: 1 min on 2 cores. full: 1.5 GPU-hours by --plan's assumption, which counts no LPIPS
Answer     tiny scale: LPIPS + SSIM, cyclic and random crops together are better than the planned recipe by 0.091 [0.011, 0.171]
           mask IoU (n = 5); see LOG.md
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.c2_training_combined import CLAIM, choose, space
from sweeps.c2_training import SWEEP as C2_TRAINING

SWEEP = Sweep(
    name="c2_training_combined",
    question="Are the best levels of the training strategy better together than the planned recipe?",
    space=space,
    claim=CLAIM,
    needs=(C2_TRAINING,),
    choose=choose,
)

if __name__ == "__main__":
    main(SWEEP)
