"""C2, searched for its costs: what does an adapter's quality cost in parameters and in milliseconds?

Question   Architecture, size, layers, queries, DINOv2 size, VLM layer, learning rate, weight decay, schedule and warm-up: which
           configurations are on the front of layout on validation images, trained parameters and latency? NSGA-II, one trial at a
           time, as time is measured.
Command    python sweeps/c2_tradeoff_search.py --trials 36   (again to resume)
Trials     at most 60 proposals x 1 seed = 60
Cost       tiny: 15 s a trial on 1 core. full: see --plan
Answer     an exploration gives no verdicts: what it finds is to be run again at fresh seeds
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.search import Search
from foresight.tuning.search_launch import main_search
from search_spaces.c2_tradeoff_search import CLAIM, space

SEARCH = Search(
    name="c2_tradeoff_search",
    question="What does the layout of an adapter's reconstructions cost in trained parameters and latency?",
    space=space,
    claim=CLAIM,
    objectives=("mask_iou", "params_trained", "latency_ms"),
    sampler="nsga2",
    proposals=60,
    seeds=1,
)

if __name__ == "__main__":
    main_search(SEARCH)
