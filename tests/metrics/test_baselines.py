import pytest
import torch

from foresight.metrics.baselines import TRIVIAL_PREDICTORS, centred_disc, copied_image, mean_image


def disc(radius: float, px: int = 32) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(px) + 0.5 - px / 2, torch.arange(px) + 0.5 - px / 2, indexing="ij")
    return (x.square() + y.square()).sqrt() <= radius


def coloured(masks: torch.Tensor, inside: float, outside: float) -> torch.Tensor:
    return torch.where(masks[:, None], inside, outside).expand(-1, 3, -1, -1)


def test_the_mean_image_by_hand():
    masks = torch.tensor([[[True, True], [False, False]], [[True, False], [True, False]], [[True, False], [False] * 2]])
    targets = coloured(masks, 0.9, 0.3)
    prediction = mean_image(targets, masks)
    # The object covers the places 3, 1, 1 and 0 times, 5 pixels of 3 images: two pixels, and the tie makes it three.
    assert prediction.picture_3HW[0].tolist() == [pytest.approx([0.9, 0.5]), pytest.approx([0.5, 0.3])]
    assert prediction.mask_prob_HW.tolist() == [[1, 1], [1, 0]]


def test_a_mean_mask_is_as_large_as_an_average_object():
    masks = torch.stack([disc(radius) for radius in (4, 6, 8, 10)])
    predicted = mean_image(coloured(masks, 1.0, 0.0), masks).mask_prob_HW
    average = masks.sum().item() / 4
    assert abs(predicted.sum().item() - average) <= disc(8).sum() - disc(6).sum()
    assert (predicted.bool() & ~disc(10)).sum() == 0


@pytest.mark.parametrize("radius", [4, 7, 12])
def test_the_disc_finds_the_radius_of_centred_objects(radius):
    masks = disc(radius).expand(3, -1, -1)
    prediction = centred_disc(coloured(masks, 0.8, 0.2), masks)
    assert torch.equal(prediction.mask_prob_HW.bool(), disc(radius))
    assert torch.allclose(prediction.picture_3HW, coloured(disc(radius)[None], 0.8, 0.2)[0])


def test_the_disc_takes_the_radius_of_the_best_mean_iou():
    masks = torch.stack([disc(radius) for radius in (5, 5, 5, 14)])
    chosen = centred_disc(coloured(masks, 0.8, 0.2), masks).mask_prob_HW.bool()

    def mean_iou(candidate):
        return ((candidate & masks).sum(dim=(1, 2)) / (candidate | masks).sum(dim=(1, 2))).mean()

    assert mean_iou(chosen) == max(mean_iou(disc(radius)) for radius in range(2, 17))
    assert torch.equal(chosen, disc(5))


def test_colours_are_the_mean_ones_of_objects_and_of_backgrounds():
    masks = torch.stack([disc(6), disc(6)])
    targets = torch.cat([coloured(masks[:1], 1.0, 0.0), coloured(masks[1:], 0.4, 0.2)])
    picture = centred_disc(targets, masks).picture_3HW
    assert picture[:, 16, 16].tolist() == pytest.approx([0.7] * 3)
    assert picture[:, 0, 0].tolist() == pytest.approx([0.1] * 3)


def test_the_copied_image_is_the_one_with_the_least_squared_error_against_all():
    generator = torch.Generator().manual_seed(3)
    targets, masks = torch.rand(9, 3, 8, 8, generator=generator), torch.rand(9, 8, 8, generator=generator) > 0.5
    best = int(torch.stack([(image - targets).square().sum() for image in targets]).argmin())
    prediction = copied_image(targets, masks)
    assert torch.equal(prediction.picture_3HW, targets[best])
    assert torch.equal(prediction.mask_prob_HW, masks[best].float())


def test_a_copied_image_is_as_sharp_as_an_image_and_the_mean_is_not():
    masks = torch.stack([disc(6).roll(shift, dims=1) for shift in (-6, -3, 0, 3, 6)])
    targets = coloured(masks, 0.0, 1.0)
    copied, mean = copied_image(targets, masks).picture_3HW, mean_image(targets, masks).picture_3HW
    assert set(copied.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(copied, targets[2])
    assert len(mean.unique()) > 2


def test_of_images_without_annotation_the_copy_has_an_empty_mask():
    prediction = copied_image(torch.rand(3, 3, 4, 4), torch.zeros(3, 0, 0))
    assert prediction.mask_prob_HW.tolist() == [[0.0] * 4] * 4


@pytest.mark.parametrize("name", TRIVIAL_PREDICTORS)
def test_a_data_set_without_any_object_still_has_a_prediction(name):
    masks = torch.zeros(2, 32, 32, dtype=torch.bool)
    prediction = TRIVIAL_PREDICTORS[name](coloured(masks, 1.0, 0.25), masks)
    assert prediction.picture_3HW.isfinite().all()
    assert prediction.mask_prob_HW.isfinite().all()
