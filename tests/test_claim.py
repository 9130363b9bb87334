import json
import math
from dataclasses import replace

import pytest

from foresight.claim import Claim, Criterion
from foresight.errors import RequestError

CLAIM = Claim(
    statement="Smaller is no worse.",
    primary="mask_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    criteria=(Criterion("mask_iou", 0.7, 0.6, 0.5), Criterion("lpips", 0.25, 0.35, 0.45)),
)


def refused(claim: Claim) -> str:
    with pytest.raises(RequestError) as caught:
        claim.check()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_sound_claim_is_accepted_and_keeps_its_hash_through_json():
    CLAIM.check()
    tree = json.loads(json.dumps(CLAIM.to_json()))
    again = Claim(**tree | {"criteria": tuple(Criterion(**criterion) for criterion in tree["criteria"])})
    assert again == CLAIM
    assert again.hash == CLAIM.hash


def test_the_usual_power_leaves_no_trace_in_the_hash():
    assert "power" not in CLAIM.to_json()
    assert CLAIM.hash == "970c8aae9fd61763"


@pytest.mark.parametrize("power", [0.0, 1.0, 80])
def test_a_power_that_is_no_chance_is_refused(power):
    assert f"got {power}" in refused(replace(CLAIM, power=power))


@pytest.mark.parametrize(
    "changed",
    [
        {"statement": "Smaller is no better."},
        {"primary": "box_iou"},
        {"margin": 0.03},
        {"alpha": 0.01},
        {"seeds": 6},
        {"power": 0.9},
        {"criteria": CLAIM.criteria[:1]},
        {"criteria": CLAIM.criteria[::-1]},
        {"criteria": (replace(CLAIM.criteria[0], acceptable=0.61), CLAIM.criteria[1])},
    ],
)
def test_every_part_of_a_claim_changes_its_hash(changed):
    assert replace(CLAIM, **changed).hash != CLAIM.hash


def test_an_unknown_metric_is_refused_with_the_nearest_name():
    assert "unknown metric 'mask_ious' (did you mean 'mask_iou'?)" in refused(replace(CLAIM, primary="mask_ious"))
    assert "unknown metric 'lpip'" in refused(replace(CLAIM, criteria=(Criterion("lpip", 0.2, 0.3, 0.4),)))


@pytest.mark.parametrize("changed", [{"alpha": 0.0}, {"alpha": 0.5}, {"margin": 0.0}, {"margin": -1.0}, {"seeds": 1}])
def test_a_claim_that_decides_nothing_is_refused(changed):
    assert "a claim needs" in refused(replace(CLAIM, **changed))


@pytest.mark.parametrize(
    ("metric", "levels"), [("mask_iou", (0.5, 0.6, 0.7)), ("mask_iou", (0.7, 0.5, 0.6)), ("lpips", (0.45, 0.35, 0.25))]
)
def test_levels_against_the_metrics_direction_are_refused(metric, levels):
    assert "from best to worst" in refused(replace(CLAIM, criteria=(Criterion(metric, *levels),)))


RELATIVE = replace(
    CLAIM,
    reference="baseline",
    judged=("size=2", "size=3"),
    criteria=(Criterion("param_efficiency", 0.90, 0.85, 0.80),),
)


@pytest.mark.parametrize(
    "changed", [{"reference": "size=9"}, {"judged": ("size=2",)}, {"judged": ("size=3", "size=2")}]
)
def test_the_arms_of_a_claim_are_part_of_its_hash(changed):
    RELATIVE.check()
    assert replace(RELATIVE, **changed).hash != RELATIVE.hash


def test_a_claim_that_names_no_arm_keeps_the_hash_that_run_logs_hold():
    assert not {"reference", "judged"} & set(CLAIM.to_json())
    assert CLAIM.hash == "970c8aae9fd61763"


def test_the_judged_arm_is_the_first_that_the_study_has():
    assert CLAIM.judged_arm(["baseline", "size=2"]) == "baseline"
    assert RELATIVE.judged_arm(["baseline", "size=3", "size=2"]) == "size=2"
    assert RELATIVE.judged_arm(["baseline", "size=3"]) == "size=3"
    RELATIVE.check_arms(["baseline", "size=3"])


@pytest.mark.parametrize(
    ("changed", "arms", "said"),
    [
        ({"reference": "size=9"}, ["baseline", "size=2"], "reference 'size=9' is no arm of the study"),
        ({}, ["baseline", "size=4"], "judged on 'size=2' or 'size=3', which is no arm of the study"),
        ({"judged": ()}, ["baseline", "size=2"], "would judge the reference 'baseline' against itself"),
    ],
)
def test_arms_that_a_study_lacks_are_refused(changed, arms, said):
    with pytest.raises(RequestError, match=said):
        replace(RELATIVE, **changed).check_arms(arms)


def test_a_relative_metric_needs_a_reference_and_is_never_the_primary():
    assert "needs the claim to name its reference arm" in refused(replace(RELATIVE, reference=""))
    assert "cannot be 'training_time_ratio'" in refused(replace(RELATIVE, primary="training_time_ratio"))


@pytest.mark.parametrize("changed", [{"margin": math.inf}, {"margin": math.nan}, {"seeds": 5.5}])
def test_a_margin_or_a_number_of_seeds_that_is_none(changed):
    assert "a claim needs" in refused(replace(CLAIM, **changed))


@pytest.mark.parametrize("levels", [(0.7, math.nan, 0.5), (math.nan, math.nan, math.nan), (7, 6, 5), (-1, -2, -3)])
def test_levels_that_the_metric_cannot_have(levels):
    assert "the metric's range" in refused(replace(CLAIM, criteria=(Criterion("mask_iou", *levels),)))


def test_two_criteria_on_one_metric():
    twice = (Criterion("mask_iou", 0.7, 0.6, 0.5), Criterion("mask_iou", 0.5, 0.4, 0.3))
    assert "two criteria on 'mask_iou'; keep one" in refused(replace(CLAIM, criteria=twice))
