"""E-P2.5, searched: which bridge, trained how, is worth a study of its own?

Question   Fusion, layers, queries, heads, stream weights, dropout, VLM layer, DINOv2 size, learning rate, weight decay, schedule
           and warm-up at once: which configuration reconstructs the layout of validation images best? TPE with ASHA.
Command    python sweeps/p2_search.py --trials 12            (again to resume; --warm-start runs/p2_ablations)
Trials     at most 40 proposals x 2 seeds = 80, fewer where trials are stopped early
Cost       tiny: 5 to 25 s a trial on 2 cores. full: see --plan
Answer     an exploration gives no verdicts: what it finds is to be run again at fresh seeds
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.search import Asha, Search
from foresight.tuning.search_launch import main_search
from search_spaces.p2_search import CLAIM, space

SEARCH = Search(
    name="p2_search",
    question="Which hybrid encoder, trained how, reconstructs the layout of validation images best?",
    space=space,
    claim=CLAIM,
    sampler="tpe",
    proposals=40,
    seeds=2,
    asha=Asha(first_rung=2, reduction=3),
)

if __name__ == "__main__":
    main_search(SEARCH)
