"""What a reconstruction minimises: terms, and losses that weigh them (protocols, E2.3 and E-P2.3).

Every term is one number an image and a loss is their mean over the images, so that a batch taken in parts gives the same
gradient. Only pixels inside the picture count. Axes: B batch, H W pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from foresight.config import LossConfig
from foresight.metrics.lpips import LEAST_PX, Lpips
from foresight.metrics.reconstruction import compute_mse, compute_ssim, fill_padding

FIRST_STAGE_FRAC = 0.1  # of the training, in loss `two_stage`
SCALES = (1, 2, 4)  # of `lpips_multiscale`: pixels averaged into one


@dataclass(frozen=True)
class Prediction:
    """A batch's pictures in [0, 1] and mask logits, and what they should be. `content` is False in the padding."""

    picture_B3HW: Tensor
    mask_logits_BHW: Tensor
    target_B3HW: Tensor
    mask_BHW: Tensor
    content_BHW: Tensor
    lpips: Lpips | None = None

    def single_precision(self) -> "Prediction":
        """The same, of a model that may have run in half precision."""
        return replace(self, picture_B3HW=self.picture_B3HW.float(), mask_logits_BHW=self.mask_logits_BHW.float())

    def filled(self) -> Tensor:
        """The pictures with the target's padding: no difference there, and no gradient."""
        return fill_padding(self.picture_B3HW, self.target_B3HW, self.content_BHW)


def mse(p: Prediction) -> Tensor:
    return compute_mse(p.picture_B3HW, p.target_B3HW, p.content_BHW)


def l1(p: Prediction) -> Tensor:
    return _mean_inside((p.picture_B3HW - p.target_B3HW).abs().mean(dim=1), p.content_BHW)


def mask_bce(p: Prediction) -> Tensor:
    """Binary cross-entropy of the object's mask: where things are."""
    bce_BHW = F.binary_cross_entropy_with_logits(p.mask_logits_BHW, p.mask_BHW.float(), reduction="none")
    return _mean_inside(bce_BHW, p.content_BHW)


def dissimilarity(p: Prediction) -> Tensor:
    """1 - SSIM."""
    return 1 - compute_ssim(p.picture_B3HW, p.target_B3HW, p.content_BHW)


def lpips(p: Prediction) -> Tensor:
    assert p.lpips is not None
    return p.lpips.distance(p.filled(), p.target_B3HW)


def lpips_multiscale(p: Prediction) -> Tensor:
    """LPIPS, averaged over pictures of full, half and quarter resolution.

    LPIPS reads no picture below 32 pixels, so a smaller one is enlarged to that: it stays as coarse as its scale.
    """
    assert p.lpips is not None
    distances = [p.lpips.distance(_coarser(p.filled(), s), _coarser(p.target_B3HW, s)) for s in SCALES]
    return torch.stack(distances).mean(dim=0)


def plain_loss(p: Prediction) -> Tensor:
    """MSE + BCE(mask), whatever is minimised: what `generalisation_gap` compares between splits."""
    return mse(p) + mask_bce(p)


TERMS: dict[str, Callable[[Prediction], Tensor]] = {
    "mse": mse,
    "l1": l1,
    "mask_bce": mask_bce,
    "dissimilarity": dissimilarity,
    "lpips": lpips,
    "lpips_multiscale": lpips_multiscale,
}
ALWAYS_LOGGED = ("mse", "l1", "mask_bce")  # cheap, and they compare trainings with different losses
NEED_LPIPS = ("lpips", "lpips_multiscale")

Weights = dict[str, float]


def mse_l1_loss(config: LossConfig, done_frac: float) -> Weights:
    return {"mse": 1.0, "l1": config.l1_weight, "mask_bce": config.mask_weight}


def lpips_loss(config: LossConfig, done_frac: float) -> Weights:
    return {"lpips": 1.0, "mask_bce": config.mask_weight}


def lpips_l2_loss(config: LossConfig, done_frac: float) -> Weights:
    return {"lpips": 1.0, "mse": 0.1, "mask_bce": config.mask_weight}


def lpips_ssim_loss(config: LossConfig, done_frac: float) -> Weights:
    return {"lpips": 1.0, "dissimilarity": 0.5, "mask_bce": config.mask_weight}


def lpips_multiscale_loss(config: LossConfig, done_frac: float) -> Weights:
    return {"lpips_multiscale": 1.0, "mask_bce": config.mask_weight}


def two_stage_loss(config: LossConfig, done_frac: float) -> Weights:
    """P2.3's: a first tenth without the squared error, then with it."""
    if done_frac < FIRST_STAGE_FRAC:
        return {"lpips": 0.7, "mask_bce": 0.3}
    return {"lpips": 0.4, "mse": 0.3, "mask_bce": 0.3}


# Weights of the terms when `done_frac` of the training is behind.
LOSSES: dict[str, Callable[[LossConfig, float], Weights]] = {
    "mse_l1": mse_l1_loss,
    "lpips": lpips_loss,
    "lpips_l2": lpips_l2_loss,
    "lpips_ssim": lpips_ssim_loss,
    "lpips_multiscale": lpips_multiscale_loss,
    "two_stage": two_stage_loss,
}


def compute_losses(prediction: Prediction, config: LossConfig, done_frac: float = 1.0) -> dict[str, Tensor]:
    """Scalars: `loss`, which is minimised, and the terms, LPIPS under the name of its trunk.

    With `done_frac` 1 the loss is that of the training's end, which is comparable over a whole training.
    Raises ValueError for a loss that needs LPIPS where there is none.
    """
    weights = LOSSES[config.name](config, done_frac)
    if prediction.lpips is None and any(name in NEED_LPIPS for name in weights):
        raise ValueError(f"loss '{config.name}' needs LPIPS, and this task's context has none")
    # In single precision whatever the model ran in: a window's variance and a distance are small differences.
    with torch.autocast(prediction.picture_B3HW.device.type, enabled=False):
        single = prediction.single_precision()
        terms = {name: TERMS[name](single).mean() for name in dict.fromkeys((*ALWAYS_LOGGED, *weights))}
    loss = torch.stack([weight * terms[name] for name, weight in weights.items()]).sum()
    return {"loss": loss, **{_logged_name(name, prediction.lpips): value for name, value in terms.items()}}


def _logged_name(term: str, network: Lpips | None) -> str:
    return term.replace("lpips", network.name) if term in NEED_LPIPS and network is not None else term


def _mean_inside(values_BHW: Tensor, content_BHW: Tensor) -> Tensor:
    inside_BHW = content_BHW.to(values_BHW.dtype)
    return (values_BHW * inside_BHW).sum(dim=(1, 2)) / inside_BHW.sum(dim=(1, 2))


def _coarser(picture_B3HW: Tensor, n_px: int) -> Tensor:
    """Means over squares of `n_px` pixels, enlarged where LPIPS would find the result too small."""
    coarse = F.avg_pool2d(picture_B3HW, n_px) if n_px > 1 else picture_B3HW
    if coarse.shape[-1] < LEAST_PX:
        coarse = F.interpolate(coarse, size=(LEAST_PX, LEAST_PX), mode="bilinear", align_corners=False)
    return coarse
