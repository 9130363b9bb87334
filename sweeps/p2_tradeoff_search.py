"""E-P2.5, searched for its costs: what does a hybrid encoder's quality cost in parameters and in milliseconds?

Question   The space of p2_search: which configurations are on the front of layout on validation images, trained parameters and
           latency? TPE over several objectives, one trial at a time, as time is measured.
Command    python sweeps/p2_tradeoff_search.py --trials 36   (again to resume; --warm-start runs/p2_ablations)
Trials     at most 60 proposals x 1 seed = 60
Cost       tiny: 10 to 30 s a trial on 1 core. full: see --plan
Answer     an exploration gives no verdicts: what it finds is to be run again at fresh seeds
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foresight.tuning.search import Search
from foresight.tuning.search_launch import main_search
from search_spaces.p2_tradeoff_search import CLAIM, space

SEARCH = Search(
    name="p2_tradeoff_search",
    question="What does the layout of a hybrid encoder's reconstructions cost in trained parameters and latency?",
    space=space,
    claim=CLAIM,
    objectives=("mask_iou", "params_trained", "latency_ms"),
    sampler="tpe",
    proposals=60,
    seeds=1,
)

if __name__ == "__main__":
    main_search(SEARCH)
