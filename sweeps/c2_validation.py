"""E2.4: does a 10M adapter match a 100M one on unseen data, both by the chosen recipe?

Question   Trained by the recipe that c2_training chose, each at a learning rate of its own, on images that no earlier study
           has used: is the small adapter no worse than the large one, and is either good enough in absolute terms?
Command    python sweeps/c2_validation.py                    (photographs: --data coco --coco-root DIR --runs runs-coco)
Trials     2 arms x 5 seeds = 10, whole blocks first
Cost       tiny: 2 to 3 min on 2 cores. full: 6 GPU-hours by --plan's assumption, which counts no LPIPS
Answer     tiny scale: "10M" non-inferior to "100M" (+0.042 [-0.013, 0.097] mask IoU, n = 5) at a fixed length of training, which
           the report warns of; LPIPS is not measured with a random trunk; see LOG.md
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.c2_validation import CLAIM, choose, space
from sweeps.c2_training import SWEEP as C2_TRAINING

SWEEP = Sweep(
    name="c2_validation",
    question="Does a 10M adapter match a 100M one on images that nothing was chosen by?",
    space=space,
    claim=CLAIM,
    needs=(C2_TRAINING,),
    choose=choose,
)

if __name__ == "__main__":
    main(SWEEP)
