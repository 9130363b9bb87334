"""E-P2.6: what do DINOv2 and the fusion cost in time?

Question   How long do the VLM, DINOv2, the fusion and the decoder take, how much memory does each need, and which of batch
           size, precision, DINOv2 size, fusion layers and picture size moves the overhead of the hybrid encoder?
Command    python sweeps/p2_latency.py                  (one trial at a time; on a machine that runs nothing else)
Trials     10 arms x 5 seeds = 50, whole blocks first; a seed is a repetition of the whole measurement in another order
Cost       tiny: 1 min. full: see --plan
Answer     tiny scale: overhead 0.682 [0.648, 0.717] (n = 5), more with each fusion layer (8: +0.424 [0.370, 0.478]), DINOv2 G
           and bf16 on a CPU; less with 2 layers and DINOv2 B; times of toy models say nothing about the real ones
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.p2_latency import CLAIM, space

SWEEP = Sweep(
    name="p2_latency",
    question="What do DINOv2 and the fusion cost in time and memory beside the VLM and the decoder?",
    space=space,
    claim=CLAIM,
    alone=True,
)

if __name__ == "__main__":
    main(SWEEP)
