import math
from dataclasses import replace

import pytest
import torch
from small_trials import small
from torch.nn.functional import avg_pool2d, interpolate

from foresight.config import FIELDS_IGNORED_BY_LOSS, LossConfig
from foresight.errors import RequestError
from foresight.features.stage import StagedData
from foresight.metrics.lpips import Lpips
from foresight.metrics.reconstruction import compute_ssim
from foresight.train.losses import LOSSES, NEED_LPIPS, Prediction, compute_losses
from foresight.train.reconstruction import Reconstruction
from foresight.train.task import Context
from foresight.train.trial import probe_gradients, shapes_of

OF_LPIPS = [name for name, weigh in LOSSES.items() if set(NEED_LPIPS) & set(weigh(LossConfig(), 1.0))]


def random_prediction(lpips: Lpips | None, n: int = 3, px: int = 32) -> Prediction:
    generator = torch.Generator().manual_seed(0)
    picture, target = torch.rand(2, n, 3, px, px, generator=generator)
    logits = torch.randn(n, px, px, generator=generator)
    mask = torch.rand(n, px, px, generator=generator) > 0.7
    return Prediction(picture, logits, target, mask, torch.ones(n, px, px, dtype=torch.bool), lpips)


def loss_of(prediction: Prediction, name: str, done_frac: float = 1.0, **weights: float) -> float:
    return compute_losses(prediction, LossConfig(name=name, **weights), done_frac)["loss"].item()


def small_prediction() -> Prediction:
    """One picture of four pixels, one of whose twelve numbers is off by 0.3."""
    target, mask = torch.full((1, 3, 2, 2), 0.5), torch.tensor([[[True, False], [False, False]]])
    picture = target.clone()
    picture[:, 0, 0, 0] += 0.3
    return Prediction(picture, torch.zeros(1, 2, 2), target, mask, torch.ones(1, 2, 2, dtype=torch.bool))


def test_every_loss_says_which_weights_it_ignores():
    assert set(LOSSES) == set(FIELDS_IGNORED_BY_LOSS) == set(LossConfig.model_fields["name"].annotation.__args__)


def test_the_default_loss_by_hand():
    losses = compute_losses(small_prediction(), LossConfig(l1_weight=2.0, mask_weight=3.0))
    assert losses["mse"].item() == pytest.approx(0.09 / 12)
    assert losses["l1"].item() == pytest.approx(0.3 / 12)
    assert losses["mask_bce"].item() == pytest.approx(math.log(2))
    assert losses["loss"].item() == pytest.approx(0.09 / 12 + 2 * 0.3 / 12 + 3 * math.log(2))


def test_the_losses_of_the_protocol_by_hand(lpips):
    p = random_prediction(lpips)
    mse = (p.picture_B3HW - p.target_B3HW).square().mean().item()
    bce = torch.nn.functional.binary_cross_entropy_with_logits(p.mask_logits_BHW, p.mask_BHW.float()).item()
    ssim = compute_ssim(p.picture_B3HW, p.target_B3HW, p.content_BHW).mean().item()
    distance = lpips(p.picture_B3HW, p.target_B3HW).mean().item()
    assert loss_of(p, "lpips", mask_weight=0.5) == pytest.approx(distance + 0.5 * bce)
    assert loss_of(p, "lpips_l2", mask_weight=0.5) == pytest.approx(distance + 0.1 * mse + 0.5 * bce)
    assert loss_of(p, "lpips_ssim", mask_weight=0.5) == pytest.approx(distance + 0.5 * (1 - ssim) + 0.5 * bce)
    for done_frac in (0.0, 0.099):
        assert loss_of(p, "two_stage", done_frac) == pytest.approx(0.7 * distance + 0.3 * bce)
    for done_frac in (0.1, 0.5, 1.0):
        assert loss_of(p, "two_stage", done_frac) == pytest.approx(0.4 * distance + 0.3 * mse + 0.3 * bce)


@pytest.mark.parametrize("px", [32, 128])
def test_the_scales_are_a_half_and_a_quarter_and_never_below_what_lpips_reads(lpips, px):
    p = random_prediction(lpips, px=px)
    distances = []
    for n_px in (1, 2, 4):
        pair = [avg_pool2d(x, n_px) for x in (p.picture_B3HW, p.target_B3HW)]
        if px // n_px < 32:
            pair = [interpolate(x, size=(32, 32), mode="bilinear") for x in pair]
        distances.append(lpips(*pair).mean().item())
    logged = compute_losses(p, LossConfig(name="lpips_multiscale"))
    assert logged["lpips_random_trunk_multiscale"].item() == pytest.approx(sum(distances) / 3, rel=1e-5)
    assert distances[0] != pytest.approx(distances[2], rel=0.01)


@pytest.mark.parametrize("name", LOSSES)
def test_a_step_against_the_gradient_lowers_every_loss(lpips, name):
    # The original's multi-scale LPIPS was a Python float and so carried no gradient at all.
    p = random_prediction(lpips)
    picture, logits = p.picture_B3HW.clone().requires_grad_(), p.mask_logits_BHW.clone().requires_grad_()
    loss = compute_losses(replace(p, picture_B3HW=picture, mask_logits_BHW=logits), LossConfig(name=name))["loss"]
    loss.backward()
    assert (picture.grad != 0).float().mean() > 0.9
    assert (logits.grad != 0).float().mean() > 0.9
    with torch.no_grad():
        moved = replace(p, picture_B3HW=picture - picture.grad, mask_logits_BHW=logits - logits.grad)
    assert loss_of(moved, name) < loss.item()


@pytest.mark.parametrize("name", LOSSES)
def test_a_flat_picture_has_a_gradient_that_is_a_number(lpips, name):
    p = random_prediction(lpips)
    for level in (0.0, 1.0):
        picture = torch.full_like(p.picture_B3HW, level).requires_grad_()
        compute_losses(replace(p, picture_B3HW=picture), LossConfig(name=name))["loss"].backward()
        assert picture.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_no_loss_sees_the_padding(lpips, name):
    p = random_prediction(lpips)
    content = p.content_BHW.clone()
    content[:, :9] = False
    clean = replace(p, content_BHW=content)
    dirty = replace(
        clean,
        picture_B3HW=torch.where(content[:, None], p.picture_B3HW, 1 - p.picture_B3HW),
        mask_logits_BHW=torch.where(content, p.mask_logits_BHW, 50.0),
    )
    config = LossConfig(name=name)
    assert compute_losses(clean, config) == compute_losses(dirty, config)
    assert loss_of(clean, name) != loss_of(p, name)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_a_mean_over_images(lpips, name):
    # However much of each is padding: parts of a batch can then be added up.
    p = random_prediction(lpips)
    content = p.content_BHW.clone()
    content[0, :20] = False
    p = replace(p, content_BHW=content)
    alone = []
    for i in range(3):
        parts = (p.picture_B3HW, p.mask_logits_BHW, p.target_B3HW, p.mask_BHW, p.content_BHW)
        alone.append(loss_of(Prediction(*(part[i : i + 1] for part in parts), lpips), name))
    assert loss_of(p, name) == pytest.approx(sum(alone) / 3, rel=1e-5)


def test_terms_are_logged_under_the_name_of_what_they_were_measured_with(lpips):
    p = random_prediction(lpips)
    always = {"loss", "mse", "l1", "mask_bce"}
    assert set(compute_losses(p, LossConfig())) == always
    assert set(compute_losses(p, LossConfig(name="lpips"))) == always | {"lpips_random_trunk"}
    pretrained = replace(p, lpips=Lpips("lpips", "stand-in", lpips.network))
    assert set(compute_losses(pretrained, LossConfig(name="lpips_ssim"))) == always | {"lpips", "dissimilarity"}


@pytest.mark.parametrize("name", OF_LPIPS)
def test_a_loss_that_needs_lpips_says_so_where_there_is_none(name):
    with pytest.raises(ValueError, match=f"loss '{name}' needs LPIPS"):
        loss_of(random_prediction(None), name)


@pytest.mark.parametrize(("name", "field"), [(n, f) for n, fields in FIELDS_IGNORED_BY_LOSS.items() for f in fields])
def test_a_weight_that_the_loss_does_not_read_must_keep_its_default(name, field):
    with pytest.raises(RequestError, match=f"loss '{name}' does not read '{field}'"):
        small(loss__name=name, **{f"loss__{field}": 0.7})


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_reaches_every_parameter_of_a_trial(data: StagedData, lpips, name):
    task = Reconstruction(small(loss__name=name), Context("cpu", lpips))
    bridge = task.build(shapes_of(data))
    assert probe_gradients(task, bridge, data) == {name for name, _ in bridge.named_parameters()}
    assert all(p.grad is None for p in lpips.network.parameters())


def test_the_validation_loss_of_two_stages_is_that_of_the_second(data: StagedData, lpips):
    task = Reconstruction(small(loss__name="two_stage"), Context("cpu", lpips))
    row = task.validate(task.build(shapes_of(data)), data.val)
    expected = 0.4 * row["lpips_random_trunk"] + 0.3 * row["mse"] + 0.3 * row["mask_bce"]
    assert row["loss"] == pytest.approx(expected, rel=1e-5)


def test_half_precision_predictions_are_compared_in_single_precision(lpips):
    p = random_prediction(lpips)
    half = replace(p, picture_B3HW=p.picture_B3HW.bfloat16(), mask_logits_BHW=p.mask_logits_BHW.bfloat16())
    rounded = replace(half, picture_B3HW=half.picture_B3HW.float(), mask_logits_BHW=half.mask_logits_BHW.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for name in LOSSES:
            assert loss_of(half, name) == loss_of(rounded, name)
