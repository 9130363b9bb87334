"""E-P2.1: which parts of a DETR head on spatial features decide what it finds?

Question   Box encoding, reference points, training images, epochs, the best epoch's model, depth, class loss, weight of no
           object, auxiliary loss, denoising queries and dropout, one at a time: which changes the mAP on held-out scenes?
Command    python sweeps/p2_detection.py
Trials     14 arms x 5 seeds = 70, whole blocks first
Cost       tiny: 5 to 8 min on 2 cores. full: 11 GPU-hours by --plan's assumption
Answer     tiny scale: mAP at IoU 0.5 of 0.118 [0.093, 0.143] (n = 5): 16 epochs (+0.068) and denoising (+0.059) better, 128
           images (-0.037) and learned reference points (-0.098) worse, nine undecided; see LOG.md
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.p2_detection import CLAIM, space

SWEEP = Sweep(
    name="p2_detection",
    question="Which parts of a DETR head on spatial features decide what it finds in held-out scenes?",
    space=space,
    claim=CLAIM,
)

if __name__ == "__main__":
    main(SWEEP)
