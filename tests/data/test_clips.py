import itertools
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from foresight.config import DataConfig
from foresight.data import CLIP_DATASETS, SPLITS, load_clip_splits, prove_disjoint, resolve_data
from foresight.data.canvas import COLOURS, SHAPES
from foresight.data.clips import MARGIN, MOTIONS, SPEED, bounce, plan_motions, render
from foresight.data.image_set import hash_pixels

ARRAYS = ("frames", "targets", "masks", "boxes_xyxy", "scene")


def config(**fields) -> DataConfig:
    return DataConfig(
        **{"name": "clips", "n_frames": 9, "n_train": 24, "n_val": 8, "n_test": 16, "image_px": 28} | fields
    )


def test_a_prefix_is_the_same_clips_across_chunks(monkeypatch):
    whole = load_clip_splits(config(n_train=30))["train"]
    monkeypatch.setattr("foresight.data.canvas.PIXELS_PER_CHUNK", 7 * 28**2)
    prefix = load_clip_splits(config(n_train=17))["train"]
    for name in (*ARRAYS, "sample_hash"):
        assert np.array_equal(getattr(prefix, name), getattr(whole, name)[:17]), name


def test_more_frames_leave_the_first_ones_alone():
    short, long = load_clip_splits(config(n_frames=4))["test"], load_clip_splits(config())["test"]
    assert long.frames.shape == (16, 9, 28, 28, 3)
    for name in ("frames", "targets", "masks", "boxes_xyxy"):
        assert np.array_equal(getattr(short, name), getattr(long, name)[:, :4]), name


def test_splits_and_seeds_share_no_clip():
    sets = load_clip_splits(config(n_train=500, n_val=100, n_test=100, n_frames=2))
    assert list(sets) == list(SPLITS)
    assert [len(part) for part in sets.values()] == [500, 100, 100]
    assert len(np.unique(np.concatenate([part.sample_hash for part in sets.values()]))) == 700
    other = load_clip_splits(config(n_frames=2, seed=1))
    assert not np.intersect1d(sets["train"].sample_hash, other["train"].sample_hash).size


def test_a_planted_copy_is_caught():
    sets = load_clip_splits(config())
    hashes = sets["test"].sample_hash.copy()
    hashes[3] = sets["train"].sample_hash[0]
    with pytest.raises(ValueError, match=f"'train' and 'test' share 1 clips, for example {hashes[3]}"):
        prove_disjoint(sets | {"test": replace(sets["test"], sample_hash=hashes)}, kind="clips")


def test_loading_proves_the_splits(monkeypatch):
    leaking = load_clip_splits(config())
    leaking["val"] = replace(leaking["train"], split="val")
    monkeypatch.setitem(CLIP_DATASETS, "clips", replace(CLIP_DATASETS["clips"], load=lambda config, root: leaking))
    with pytest.raises(ValueError, match="'train' and 'val' share 24 clips"):
        load_clip_splits(config())


def test_every_machine_draws_these_bytes():
    # Generated clips have no fingerprint in a trial's key. When this fails, numbers already in run logs were
    # measured on other clips than new ones will be.
    test = load_clip_splits(config(n_test=48))["test"]
    assert [hash_pixels(getattr(test, name)) for name in ARRAYS[:-1]] == [
        "8593e700b1961bbb",
        "4f489130ef5515b1",
        "8b7d6f0f579316c0",
        "66884a5cb67d3b20",
    ]


def test_every_motion_shape_and_colour_in_turn():
    motions = plan_motions(0, "train", 240, 2)
    assert all(sorted(motions.motion[start : start + 4]) == [0, 1, 2, 3] for start in range(0, 240, 4))
    pairs = list(zip(motions.shape.tolist(), motions.colour.tolist(), strict=True))
    everything = set(itertools.product(range(len(SHAPES)), range(len(COLOURS))))
    assert all(set(pairs[start : start + 24]) == everything for start in range(0, 240, 24))


def test_bouncing_worked_out_by_hand():
    start, step, room = (np.array(values) for values in ([0.25, 0.25, 0.5], [0.125, -0.25, 0], [0.5, 0.5, 1]))
    assert bounce(start, step, room, 6).tolist() == [
        [0.25, 0.375, 0.5, 0.375, 0.25, 0.125],
        [0.25, 0, 0.25, 0.5, 0.25, 0],
        [0.5] * 6,
    ]


def test_shapes_move_as_their_label_says():
    train = load_clip_splits(config(n_train=400))["train"]
    centres = (train.boxes_xyxy[..., :2] + train.boxes_xyxy[..., 2:]) / 2
    steps = np.abs(np.diff(centres, axis=1))
    moves = steps.max(axis=1) > 1e-5
    expected = {"still": [False, False], "horizontal": [True, False], "vertical": [False, True], "diagonal": [True] * 2}
    for scene in MOTIONS:
        assert (moves[train.scene == scene] == expected[scene]).all(), scene
    # Without a bounce a shape keeps its speed; a bounce can only shorten a step.
    speed = np.hypot(*steps.max(axis=1)[train.scene != "still"].T)
    assert speed.min() > SPEED[0] - 1e-4
    assert speed.max() < SPEED[1] + 1e-4


def test_both_directions_occur_and_neither_start_nor_look_tells_the_motion():
    motions = plan_motions(0, "train", 4000, 2)
    forth = (np.diff(motions.x, axis=1) > 0)[motions.motion == list(MOTIONS).index("horizontal")].mean()
    assert 0.45 < forth < 0.55
    for values in (motions.x[:, 0], motions.y[:, 0], motions.half, motions.ground.background, motions.shape):
        means = [values[motions.motion == number].mean() for number in range(4)]
        assert np.ptp(means) < 6 * values.std() / 1000**0.5


def test_shapes_stay_inside_and_boxes_are_the_bounds_of_the_masks():
    train = load_clip_splits(config(n_train=60, n_frames=24, target_px=64))["train"]
    assert train.boxes_xyxy.min() >= MARGIN - 1e-6
    assert train.boxes_xyxy.max() <= 1 - MARGIN + 1e-6
    for mask, box in zip(train.masks.reshape(-1, 64, 64), train.boxes_xyxy.reshape(-1, 4) * 64, strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        off = abs(np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) - box)
        assert off[[0, 2, 3]].max() <= 1
        assert off[1] <= 1.5  # the apex of a triangle is narrower than a pixel


def test_outside_the_shape_nothing_moves():
    motions = plan_motions(0, "test", 12, 5)
    frames, test = render(motions, 56), load_clip_splits(config(n_test=12, n_frames=5, target_px=56))["test"]
    grown = np.zeros_like(test.masks)
    for dy, dx in itertools.product((-2, -1, 0, 1, 2), repeat=2):  # blended edges, and a triangle's thin apex
        grown |= np.roll(test.masks, (dy, dx), axis=(2, 3))
    ever_shape = grown.any(axis=1)
    still = (frames == frames[:, :1]).all(axis=(1, 4))
    assert still[~ever_shape].all()
    moving = test.scene != "still"
    assert not still[moving].all(axis=(1, 2)).any()
    assert still[~moving].all()


def test_frames_and_targets_show_the_same_clip():
    split = load_clip_splits(config(image_px=112, target_px=56))["train"]
    halved = split.frames.reshape(24, 9, 56, 2, 56, 2, 3).mean(axis=(3, 5)).transpose(0, 1, 4, 2, 3)
    assert abs(halved - split.targets).mean() < 1.5


def test_generated_clips_need_no_resolving():
    assert resolve_data(config()) == config()


def test_a_clip_set_refuses_arrays_that_do_not_fit_each_other():
    test = load_clip_splits(config())["test"]
    with pytest.raises(ValueError, match=r"'masks' of the test split must be b1 \[16, 9, 32, 32\], not b1 \[16, 8,"):
        replace(test, masks=test.masks[:, :8])
    with pytest.raises(ValueError, match="must have both 'masks' and 'boxes_xyxy', or neither"):
        replace(test, masks=None)


@pytest.mark.parametrize("fields", [{"n_frames": 1}, {"image_px": 100}, {"target_px": 36}, {"fps": 12}], ids=str)
def test_a_config_of_clips_that_cannot_be_made(fields):
    with pytest.raises(ValidationError):
        config(**fields)
