"""E-P2.5 as a full factorial: do the factors of the hybrid encoder interact?

Question   Is the effect of one factor the same at every level of the others?
Command    python sweeps/p2_ablations_factorial.py --seeds 1 --limit 100
Trials     1296 cells x 5 seeds = 6480, whole blocks first
Cost       see --plan
Answer     not run
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.p2_ablations_factorial import CLAIM, space

SWEEP = Sweep(
    name="p2_ablations_factorial",
    question="Do the factors of the hybrid encoder interact?",
    space=space,
    claim=CLAIM,
)

if __name__ == "__main__":
    main(SWEEP)
