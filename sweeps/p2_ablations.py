"""E-P2.5: which parts of the hybrid encoder matter?

Question   Fusion strategy, fusion layers, output queries, VLM layer, DINOv2 size and stream weights: which of them moves
           the reconstruction of held-out images, and can the baseline be made smaller without losing quality?
Command    python sweeps/p2_ablations.py                     (laptop: toy size; on a cluster: ray job submit -- python ...)
Trials     15 arms x 5 seeds = 75, whole blocks first
Cost       tiny: minutes on 2 cores. full: see --plan
Answer     tiny scale answers nothing about pretrained encoders; see LOG.md for what has been run
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.p2_ablations import CLAIM, space

SWEEP = Sweep(
    name="p2_ablations",
    question="Which parts of the hybrid encoder matter for reconstructing held-out images?",
    space=space,
    claim=CLAIM,
)

if __name__ == "__main__":
    main(SWEEP)
