"""The benchmark of looks judges as the sweep does."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import spending
from benchmarks.calibration import NOISES
from foresight.claim import Claim
from foresight.looks import add_tests, no_tests, take_look
from foresight.spending import Spending

CODES = {"undecided": spending.UNDECIDED, "better": spending.BETTER, "worse": spending.WORSE}
CODES |= {"non-inferior": spending.NONINFERIOR}
ARMS = ["baseline", *(f"a{i}" for i in range(1, 7))]


@pytest.mark.parametrize("study", range(6))
def test_the_benchmark_judges_as_a_look_does(study):
    # Scaled into the range of a metric, and the margin with it.
    values_RAS = NOISES["two noisy arms"](np.random.default_rng(study), 1, len(ARMS), spending.LOOKS[-1])
    values_RAS[:, 1:3] += 2.0
    claim = Claim("?", "psnr", spending.MARGIN, spending.ALPHA, 5, spending=Spending("pocock", spending.LOOKS))
    rows = [(arm, "", seed, values_RAS[0, i, seed]) for i, arm in enumerate(ARMS) for seed in range(spending.LOOKS[-1])]
    values = pd.DataFrame(rows, columns=["arm", "factor", "seed", "value"])
    tests = no_tests()
    for look in claim.looks():
        tests = add_tests(tests, take_look(values, look, tests, ARMS, range(spending.LOOKS[-1]), claim))
    last = tests.drop_duplicates("arm", keep="last").set_index("arm").loc[ARMS[1:]]
    verdicts, n_seeds = spending.judge(values_RAS, spending.DESIGNS["pocock"])
    assert verdicts[0].tolist() == [CODES[verdict] for verdict in last["verdict"]]
    assert n_seeds[0].tolist() == [max(last["n_seeds"]), *last["n_seeds"]]
