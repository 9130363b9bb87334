"""The small study with a claim that may be looked at three times."""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import small_study

from foresight.spending import Spending
from foresight.tuning.launch import main

# At this alpha four seeds decide nothing, so every look is taken.
CLAIM = replace(small_study.CLAIM, alpha=1e-6, spending=Spending("pocock", (2, 3, 4)))
SWEEP = replace(small_study.SWEEP, name="looked_study", claim=CLAIM)

if __name__ == "__main__":
    main(SWEEP)
