"""E-P2.4: does one trained hybrid meet every Gate-1 criterion?

Question   The hybrid of E-P2.3, and each stream alone: layout, looks, objects, meaning, time and motion of one trained
           model on held-out scenes, clips, and photographs where a folder is given. Does the hybrid pass Gate 1?
Command    python sweeps/p2_end_to_end.py              (runs p2_fusion first where its models are missing)
           python sweeps/p2_end_to_end.py --coco-root DIR --ssv2-root DIR --davis-root DIR
Trials     3 arms x 5 seeds = 15, whole blocks first, one at a time because time is measured
Cost       tiny: 2 to 4 min on 2 cores, after p2_fusion. full: see --plan
Answer     tiny scale: no: of Gate 1 the hybrid meets mask IoU (0.798 [0.790, 0.805], n = 5) and edge F1 (0.800), and fails mAP
           (0.119), SSIM (0.65) and overhead (0.68); LPIPS is not measured with a random trunk; see LOG.md
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.p2_end_to_end import CLAIM, space
from sweeps import p2_fusion

SWEEP = Sweep(
    name="p2_end_to_end",
    question="Does one trained hybrid meet every Gate-1 criterion on held-out data?",
    space=space,
    claim=CLAIM,
    needs=(p2_fusion.SWEEP,),
    alone=True,
)

if __name__ == "__main__":
    main(SWEEP)
