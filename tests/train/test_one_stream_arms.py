"""The arms of E-P2.2 and E-P2.3: each changes the output, and every parameter of a single-stream model gets a gradient."""

import pytest
from small_trials import fill

from foresight.features.store import ArrayStore
from foresight.train.sensitivity import check_sensitivity, probe_config
from foresight.train.task import Context
from search_spaces import p2_dinov2_only, p2_fusion


@pytest.mark.parametrize(("study", "n_arms"), [(p2_dinov2_only, 5), (p2_fusion, 4)])
def test_every_arm_moves_the_output(study, n_arms, tmp_path, lpips):
    arms = {
        arm.name: probe_config(arm.config).with_fields({"data.image_px": 56})
        for arm in study.space("tiny").one_at_a_time().arms()
    }
    changes = check_sensitivity(arms, fill(ArrayStore(tmp_path), *arms.values()), Context("cpu", lpips))
    assert len(changes) == n_arms - 1
    assert all(0.001 < change <= 1 for change in changes.values())
