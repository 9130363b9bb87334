"""Does a bridge condition the frozen LTX-Video itself, where C2's other studies train a small decoder with every bridge?

Question   With nothing but the adapter trained, by flow matching through the frozen transformer: how well does what is then
           sampled show the held-out picture, and does it take both streams, 10M parameters, and a decoder that has learnt?
Command    python sweeps/c2_ltx.py
Trials     5 arms x 5 seeds = 25, whole blocks first
Cost       tiny: about 4 min on 2 quiet cores, a minute of which pretrains the toy decoder once a machine; 10 s of CPU a trial.
           full: 54 GPU-hours by --plan's assumption
Answer     tiny scale: yes: picture IoU 0.762 [0.755, 0.769] (n = 5) of sampled pictures, of 0.827 that the VAE allows; through a
           random transformer 0.207; DINOv2 alone and twice the parameters non-inferior, the VLM alone worse; see LOG.md
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.launch import main
from foresight.tuning.sweep import Sweep
from search_spaces.c2_ltx import CLAIM, space

SWEEP = Sweep(
    name="c2_ltx",
    question="Does a bridge make the frozen LTX-Video draw the picture that its encoders see?",
    space=space,
    claim=CLAIM,
)

if __name__ == "__main__":
    main(SWEEP)
