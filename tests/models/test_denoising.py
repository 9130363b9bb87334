import torch

from foresight.models.denoising import CENTRE_NOISE, FLIPPED_FRAC, N_GROUPS, noise_objects

N = 400
BOXES = torch.tensor([[0.3, 0.4, 0.2, 0.1], [0.7, 0.6, 0.3, 0.2]]).expand(N, -1, -1)
CLASSES = torch.tensor([[1, 2]]).repeat(N, 1)


def noised(classes=CLASSES, seed=0):
    return noise_objects(BOXES, classes, 12, torch.Generator().manual_seed(seed))


def test_every_group_holds_every_object_near_its_place():
    xy = noised().xy_BM2.unflatten(1, (N_GROUPS, 2))
    shift = (xy - BOXES[:, None, :, :2]) / (BOXES[:, None, :, 2:] / 2)
    assert shift.abs().max() <= CENTRE_NOISE + 1e-5
    assert shift.abs().max() > 0.9 * CENTRE_NOISE
    assert abs(shift.mean()) < 0.03
    assert not torch.equal(xy[:, 0], xy[:, 1])


def test_some_classes_are_flipped_and_the_others_true():
    wrong = (noised().classes_BM != CLASSES.repeat(1, N_GROUPS)).float().mean()
    assert abs(wrong - FLIPPED_FRAC * 11 / 12) < 0.03  # a random class is the true one in one of twelve


def test_the_same_generator_gives_the_same_noise():
    first, again, other = noised(), noised(), noised(seed=1)
    assert torch.equal(first.xy_BM2, again.xy_BM2)
    assert not torch.equal(first.xy_BM2, other.xy_BM2)


def test_who_may_look_at_whom():
    classes = CLASSES.clone()
    classes[0, 1] = -1  # the second object of the first image is padding
    mask = noised(classes).mask(n_matched=3)
    assert mask.shape == (N, 3 + 2 * N_GROUPS, 3 + 2 * N_GROUPS)
    assert mask[:, :3, :3].all()
    assert not mask[:, :3, 3:].any()  # what is matched never sees the answer
    assert mask[:, 3:, :3].all()
    for image, own in ((0, [[1, 0], [1, 0]]), (1, [[1, 1], [1, 1]])):
        expected = torch.block_diag(*[torch.tensor(own)] * N_GROUPS).bool()
        assert torch.equal(mask[image, 3:, 3:], expected)
    assert mask.any(dim=-1).all()
