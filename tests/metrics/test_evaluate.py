import pytest
import torch

from foresight.config import DataConfig
from foresight.data import load_splits
from foresight.metrics import METRICS, METRICS_OF_MASKS
from foresight.metrics.evaluate import compute_image_metrics
from foresight.metrics.lpips import Lpips

PERFECT = {"mask_iou": 1, "lpips_random_trunk": 0, "psnr": 100, "mse": 0, "edge_f1": 1}
# What one picture and one mask are enough for, beside LPIPS; other metrics are of clips, of objects, of time.
OF_PICTURES = {"mask_iou", "box_iou", "ssim", "edge_f1", "psnr", "mse", "picture_iou"}


class Case:
    """Test images with what is known about them, and a noisy prediction of each."""

    def __init__(self, n: int = 6):
        images = load_splits(DataConfig(n_train=1, n_val=1, n_test=n, image_px=28))["test"]
        self.target = torch.from_numpy(images.targets).float() / 255
        self.mask, self.boxes = torch.from_numpy(images.masks), torch.from_numpy(images.boxes_xyxy)
        self.content = torch.from_numpy(images.content).clone()
        generator = torch.Generator().manual_seed(0)
        noise = 0.2 * torch.randn(self.target.shape, generator=generator)
        self.picture = (self.target + noise).clamp(0, 1)
        self.mask_prob = torch.rand(self.mask.shape, generator=generator)

    def measure(self, lpips: Lpips, plain_ground: bool = True) -> dict[str, torch.Tensor]:
        return compute_image_metrics(
            self.picture, self.mask_prob, self.target, self.mask, self.boxes, self.content, lpips, plain_ground
        )


def test_the_declared_metrics_are_those_produced(lpips):
    produced = set(Case().measure(lpips)) | set(Case().measure(Lpips("lpips", "stand-in", lpips.network)))
    assert produced <= set(METRICS)
    assert produced == OF_PICTURES | {"lpips", "lpips_random_trunk"}


def test_the_picture_is_searched_for_the_object_on_plain_backgrounds_alone(lpips):
    assert set(Case().measure(lpips)) - set(Case().measure(lpips, plain_ground=False)) == {"picture_iou"}


def test_one_trial_measures_lpips_under_one_name(lpips):
    assert set(Case().measure(lpips)) == OF_PICTURES | {"lpips_random_trunk"}


def test_without_annotation_nothing_of_a_mask_is_measured(lpips):
    case = Case()
    annotated = case.measure(lpips)
    case.mask_prob = None
    assert set(annotated) - set(case.measure(lpips)) == set(METRICS_OF_MASKS)
    case.mask, case.boxes = torch.zeros(6, 0, 0, dtype=torch.bool), torch.zeros(6, 0)
    metrics = case.measure(lpips)
    assert set(annotated) - set(metrics) == {*METRICS_OF_MASKS, "picture_iou"}
    assert all(torch.equal(values, annotated[name]) for name, values in metrics.items())


def test_every_image_has_its_own_value_of_every_metric(lpips):
    case = Case()
    together = case.measure(lpips)
    for name, values in together.items():
        assert values.shape == (6,), name
        assert len(values.unique()) > 1, name


def test_values_lie_in_their_declared_range(lpips):
    cases = [Case(), Case(), Case(), Case()]
    cases[1].picture = 1 - cases[1].target
    cases[2].picture, cases[2].mask_prob = cases[2].target, cases[2].mask.float()
    cases[3].picture, cases[3].mask_prob = torch.zeros_like(cases[3].target), torch.zeros_like(cases[3].mask_prob)
    for case in cases:
        for name, values in case.measure(lpips).items():
            assert (values >= METRICS[name].low).all(), name
            assert (values <= METRICS[name].high).all(), name


def test_an_exact_copy_is_perfect(lpips):
    case = Case()
    case.picture, case.mask_prob = case.target.clone(), case.mask.float()
    metrics = case.measure(lpips)
    for name, value in PERFECT.items():
        assert (metrics[name] == value).all(), name
    # Single precision loses four digits of a variance, which a flat background leaves near nothing of.
    assert metrics["ssim"].tolist() == pytest.approx([1] * 6, abs=1e-4)
    # A triangle's tip is thinner than a pixel, so a tight box may end before the annotated one.
    assert (metrics["box_iou"] > 0.85).all()


def test_a_worse_picture_is_worse_in_every_metric_of_pictures(lpips):
    near, far = Case(), Case()
    far.picture = (far.target + 2 * (far.picture - far.target)).clamp(0, 1)
    better, worse = near.measure(lpips), far.measure(lpips)
    for name in ("lpips_random_trunk", "ssim", "psnr", "mse"):  # edges either lie near the true ones or do not
        sign = 1 if METRICS[name].direction == "higher" else -1
        assert (sign * (better[name] - worse[name]) > 0).all(), name


def test_nothing_in_the_padding_changes_a_metric(lpips):
    case = Case()
    case.content[:3, :6] = case.content[:3, -6:] = False
    case.content[3:, :, :9] = case.content[3:, :, -9:] = False
    clean = case.measure(lpips)
    outside = ~case.content
    case.picture = torch.where(outside[:, None], 1 - case.picture, case.picture)
    case.mask_prob = torch.where(outside, 1 - case.mask_prob, case.mask_prob)
    case.mask = torch.where(outside, ~case.mask, case.mask)
    dirty = case.measure(lpips)
    for name, values in clean.items():
        assert torch.equal(values, dirty[name]), name


@pytest.mark.parametrize("brightness", [0.0, 0.5, 1.0])
def test_the_spatial_metrics_never_look_at_the_picture(lpips, brightness):
    # The original study took every pixel below 0.95 for object, which no background but white survives.
    case = Case(8)
    case.mask_prob = case.mask.float() * 0.8
    expected = case.measure(lpips)
    case.picture = torch.full_like(case.picture, brightness)
    metrics = case.measure(lpips)
    assert (metrics["mask_iou"] == 1).all()
    assert torch.equal(metrics["box_iou"], expected["box_iou"])
