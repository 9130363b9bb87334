"""E2.3: which training strategy suits a 10M adapter?

Question   Loss, learning-rate schedule, augmentation, dropout and weight decay around the planned recipe: does any of them
           reconstruct held-out images better than the plan?
Command    python sweeps/c2_training.py
Trials     12 arms x 5 seeds = 60, whole blocks first
Cost       tiny: 4 to 6 min on 2 cores. full: 9 GPU-hours by --plan's assumption, which counts no LPIPS
Answer     tiny scale: mixup worse by 0.144 [0.057, 0.231] mask IoU (n = 5), the ten other arms undecided; see LOG.md
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.c2_training import CLAIM, space

SWEEP = Sweep(
    name="c2_training",
    question="Does another loss, schedule, augmentation, dropout or weight decay train a 10M adapter better than the plan?",
    space=space,
    claim=CLAIM,
)

if __name__ == "__main__":
    main(SWEEP)
