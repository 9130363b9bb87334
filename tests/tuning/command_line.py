"""The studies that the tests of the command line ask for, and what a refused request looks like."""

from dataclasses import replace

import small_study
from typer.testing import Result

from foresight.space import Factor
from foresight.tuning.sweep import Sweep
from search_spaces import c2_architectures, p2_spatial_probe

SWEEP = small_study.SWEEP
FOLDERS = ("coco", "ssv2", "davis")
PROBE = Sweep("p2_spatial_probe", "?", p2_spatial_probe.space, p2_spatial_probe.CLAIM)
C2 = Sweep("c2_architectures", "?", c2_architectures.space, c2_architectures.CLAIM)


def refusal(result: Result) -> str:
    """The one sentence of a refused request."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def with_factors(*factors: Factor) -> Sweep:
    return replace(SWEEP, space=lambda scale: replace(small_study.space(scale), factors=factors))
