"""E-P2.1: at which layer of which encoder can an object's box be read off?

Question   The same attention probe on the same images, over DINOv2 B, L and G, over layers of DINOv2, and over the VLM from
           its vision tower to its last layer: which source gives the one object's box best?
Command    python sweeps/p2_spatial_probe.py
Trials     10 arms x 5 seeds = 50, whole blocks first (full: 13 arms, as real encoders have more layers)
Cost       tiny: 3 min on 2 quiet cores. full: 1.6 GPU-hours by --plan's assumption
Answer     tiny scale: all nine sources undecided against DINOv2 L's last layer (box IoU 0.745 [0.692, 0.797], n = 5), best the
           VLM's tower before its merger (+0.025 [-0.026, 0.076]); random encoders keep places, see LOG.md
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.p2_spatial_probe import CLAIM, space

SWEEP = Sweep(
    name="p2_spatial_probe",
    question="At which layer of which encoder can an object's box be read off?",
    space=space,
    claim=CLAIM,
)

if __name__ == "__main__":
    main(SWEEP)
