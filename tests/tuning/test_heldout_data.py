"""Further sets of a study: which of them a machine can measure on, and that their folders are read and paid for."""

from pathlib import Path

import pytest

from foresight.claim import Claim
from foresight.config import DataConfig, HeldoutConfig, TrialConfig
from foresight.data.clip_folder import ClipFile, ClipFolder
from foresight.features.size import entry_sizes
from foresight.space import Factor, SearchSpace
from foresight.tuning.sweep import Sweep, read_roots, resolve_space

PLANNED = HeldoutConfig(clips=4, davis=5, ssv2=6, coco=7)
BASELINE = TrialConfig(
    task="end_to_end", data=DataConfig(name="scenes", n_train=8, n_val=2, n_test=2, image_px=56), heldout=PLANNED
)
SWEEP = Sweep(
    "further",
    "?",
    lambda scale: SearchSpace(BASELINE, (Factor("streams", "streams", ("both", "vlm")),)),
    Claim("?", "mask_iou", 0.02, 0.05, 2),
)


@pytest.fixture
def davis(monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A folder with three sequences to test on."""
    clips = [ClipFile(str(number), "scene", ()) for number in range(6)]
    folder = ClipFolder("clips", Path("/davis"), "ab" * 8, {"train": clips, "val": clips[:1], "test": clips[:3]})
    monkeypatch.setattr("foresight.data.davis.read_folder", lambda root, seed: folder)
    return {"davis": Path("/davis")}


def test_without_folders_only_generated_sets_are_measured():
    baseline = resolve_space(SWEEP, "tiny", None, {}).baseline
    assert baseline.heldout == HeldoutConfig(clips=4)
    assert read_roots(baseline) == set()


def test_a_folder_that_is_given_is_measured_with_what_it_holds_and_its_content_is_in_the_key(davis):
    baseline = resolve_space(SWEEP, "tiny", None, davis).baseline
    assert baseline.heldout == HeldoutConfig(clips=4, davis=3, davis_fingerprint="ab" * 8)
    assert read_roots(baseline) == {"davis"}
    assert baseline.key != resolve_space(SWEEP, "tiny", None, {}).baseline.key


def test_the_data_that_a_study_is_run_on_is_no_further_set(monkeypatch):
    monkeypatch.setattr("foresight.tuning.sweep.resolve_data", lambda data, root: data)
    photographs = {"coco": Path("/coco")}
    assert resolve_space(SWEEP, "tiny", None, photographs).baseline.heldout == HeldoutConfig(clips=4, coco=7)
    assert resolve_space(SWEEP, "tiny", "coco", photographs).baseline.heldout == HeldoutConfig(clips=4)


def test_further_sets_take_room_in_the_feature_cache():
    without = BASELINE.model_copy(update={"heldout": HeldoutConfig()})
    clips = BASELINE.model_copy(update={"heldout": HeldoutConfig(clips=4)})
    images = 54 * (3 * 56**2 + 5 * 32**2)  # 6 clips of 9 frames, one to train and one to validate with included
    features = 2 * 54 * (2**2 * 64 + 4**2 * 64)
    sizes = [sum(entry_sizes([config]).values()) for config in (clips, without)]
    assert sizes[0] - sizes[1] == images + features


def test_what_an_end_to_end_trial_starts_from_is_the_reconstruction_of_the_same_settings():
    continued = BASELINE.continued()
    assert continued is not None
    assert continued == TrialConfig(data=BASELINE.data)
    assert continued.continued() is None
    assert BASELINE.with_fields({"heldout.clips": 2, "head_train.lr": 0.1}).continued() == continued
    assert BASELINE.with_fields({"train.lr": 0.1}).continued() != continued
