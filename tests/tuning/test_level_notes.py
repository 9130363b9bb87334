import importlib
from pathlib import Path

import pytest

from foresight.config import TrialConfig
from foresight.space import Factor
from foresight.tuning.level_notes import level_notes

SPACES = Path(__file__).parents[2] / "search_spaces"
# Designs alone have factors with levels; a search proposes what it likes.
STEMS = sorted(
    path.stem for path in SPACES.glob("*.py") if path.stem != "__init__" and not path.stem.endswith("_search")
)
LAYERS = ("vlm.layer", "dinov2.layer")


def test_layers_are_told_by_what_is_read():
    of_dinov2 = TrialConfig(task="probe", streams="dinov2")
    vlm = Factor("VLM layer", "vlm.layer", ("pre_merge", "post_merge", "14"), instead={"streams": "vlm"})
    assert level_notes(vlm, of_dinov2) == {
        "pre_merge": "vision tower, 14 px a token",
        "post_merge": "vision tower, 28 px a token",
        "14": "layer 2 of 4",
    }
    dinov2 = Factor("DINOv2 layer", "dinov2.layer", ("12", "final"))
    assert level_notes(dinov2, of_dinov2) == {"12": "layer 1 of 2", "final": "layer 2 of 2"}


@pytest.mark.parametrize("scale", ["tiny", "full"])
@pytest.mark.parametrize("stem", STEMS)
def test_no_two_levels_of_a_study_read_the_same_layer(stem, scale):
    space = importlib.import_module(f"search_spaces.{stem}").space(scale)
    for factor in space.factors:
        if factor.field in LAYERS:
            notes = level_notes(factor, space.baseline)
            assert len(set(notes.values())) == len(factor.levels), (factor.name, notes)
