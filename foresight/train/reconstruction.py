"""Reconstruction: a bridge conditions a decoder, which draws the picture and the object's mask again.

Axes: B batch, H W pixels.
"""

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foresight.config import PLAIN_GROUND_DATA, LossConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.features.stage import StagedData, StagedSplit
from foresight.metrics.baselines import TRIVIAL_PREDICTORS
from foresight.metrics.cost import compute_flops
from foresight.metrics.evaluate import compute_image_metrics
from foresight.metrics.reconstruction import fill_padding
from foresight.metrics.spatial import compute_mask_iou
from foresight.models.bridge import Bridge, Features
from foresight.train.pictures import N_EXAMPLES, picture_strip
from foresight.train.precision import autocast
from foresight.train.task import EVAL_BATCH, Evaluation, Task


def compute_losses(
    picture_B3HW: Tensor, mask_logits_BHW: Tensor, target_B3HW: Tensor, mask_BHW: Tensor, content_BHW: Tensor
) -> dict[str, Tensor]:
    """Scalars `mse`, `l1` and `mask_bce`, averaged over the pixels inside the pictures. Targets are in [0, 1]."""
    inside_BHW = content_BHW.float()
    n_inside = inside_BHW.sum()
    difference = (picture_B3HW.float() - target_B3HW) * inside_BHW[:, None]
    bce_BHW = F.binary_cross_entropy_with_logits(mask_logits_BHW.float(), mask_BHW.float(), reduction="none")
    return {
        "mse": difference.square().sum() / (3 * n_inside),
        "l1": difference.abs().sum() / (3 * n_inside),
        "mask_bce": (bce_BHW * inside_BHW).sum() / n_inside,
    }


def weighted_loss(losses: dict[str, Tensor], config: LossConfig) -> Tensor:
    """What is minimised: `mse + l1_weight l1 + mask_weight mask_bce`."""
    return losses["mse"] + config.l1_weight * losses["l1"] + config.mask_weight * losses["mask_bce"]


class Reconstruction(Task):
    """Trains a bridge with its decoder, and measures pictures and masks."""

    @property
    def plain_ground(self) -> bool:
        """Whether the object can be read off the picture itself."""
        return self.config.data.name in PLAIN_GROUND_DATA

    def assemble(self, shapes: FeatureShapes) -> Bridge:
        config = self.config
        return Bridge(config.conditioner, config.decoder, config.data.target_px, shapes)

    def decoder(self, model: nn.Module) -> nn.Module:
        return model.decoder

    def losses(self, model: nn.Module, split: StagedSplit, index: Tensor, done_frac: float) -> dict[str, Tensor]:
        picture, mask_logits = model(split.features[index])
        target = split.targets_N3HW[index].float() / 255
        losses = compute_losses(picture, mask_logits, target, split.masks_NHW[index], split.content_NHW[index])
        return {"loss": weighted_loss(losses, self.config.loss), **losses}

    @torch.no_grad()
    def validate(self, model: nn.Module, split: StagedSplit) -> dict[str, float]:
        model.eval()
        totals: dict[str, Tensor] = {}
        for index in torch.arange(len(split), device=self.device).split(EVAL_BATCH):
            with autocast(self.device, self.config.train.precision):
                picture, mask_logits = model(split.features[index])
            target = split.targets_N3HW[index].float() / 255
            mask, content = split.masks_NHW[index], split.content_NHW[index]
            losses = compute_losses(picture, mask_logits, target, mask, content)
            losses |= {
                "loss": weighted_loss(losses, self.config.loss),
                "mask_iou": compute_mask_iou(mask_logits.sigmoid(), mask, content).mean(),
            }
            for name, value in losses.items():
                totals[name] = totals.get(name, torch.zeros((), device=self.device)) + value * len(index)
        return {name: (total / len(split)).item() for name, total in totals.items()}

    @torch.no_grad()
    def output(self, model: nn.Module, split: StagedSplit) -> Tensor:
        model.eval()
        with autocast(self.device, self.config.train.precision):
            picture, mask_logits = model(split.features[torch.arange(len(split), device=self.device)])
        return torch.cat([picture.float(), mask_logits.float().sigmoid()[:, None]], dim=1)

    def count_flops(self, model: nn.Module, one_image: Features) -> float:
        return compute_flops(model, one_image)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: StagedData) -> Evaluation:
        model.eval()
        split, lpips = data.test, self.context.lpips
        columns: dict[str, list[np.ndarray]] = {}
        examples_png = b""
        for index in torch.arange(len(split), device=self.device).split(EVAL_BATCH):
            with autocast(self.device, self.config.train.precision):
                picture, mask_logits = model(split.features[index])
            picture, mask_prob = picture.float(), mask_logits.float().sigmoid()
            target = split.targets_N3HW[index].float() / 255
            content, mask = split.content_NHW[index], split.masks_NHW[index]
            metrics = compute_image_metrics(
                picture, mask_prob, target, mask, split.boxes_xyxy_N4[index], content, lpips, self.plain_ground
            )
            for name, values in metrics.items():
                columns.setdefault(name, []).append(values.cpu().numpy())
            if not examples_png:
                inside = fill_padding(picture, target, content)
                masks = [m.float()[:, None].expand(-1, 3, -1, -1) for m in (mask & content, mask_prob * content)]
                examples_png = picture_strip([row[:N_EXAMPLES] for row in (target, inside, *masks)])
        samples = pd.DataFrame({name: np.concatenate(values) for name, values in columns.items()})
        samples.insert(0, "sample_hash", split.sample_hash)
        samples.insert(1, "split", "test")
        samples.insert(2, "scene", split.scene)
        if not data.trivial_scores:
            data.trivial_scores.update(self.score_trivial_predictors(data))
        scores = {f"test/{name}": float(samples[name].mean()) for name in columns}
        return Evaluation(samples, scores | data.trivial_scores, {"examples": examples_png}, list(columns))

    def score_trivial_predictors(self, data: StagedData) -> dict[str, float]:
        """`baseline/<predictor>/<metric>`: predictors that ignore the input, fitted on train and scored on test."""
        train_targets = data.train.targets_N3HW.float() / 255
        target, n = data.test.targets_N3HW.float() / 255, len(data.test)
        columns = {}
        for name, fit in TRIVIAL_PREDICTORS.items():
            prediction = fit(train_targets, data.train.masks_NHW)
            metrics = compute_image_metrics(
                prediction.picture_3HW.expand(n, -1, -1, -1),
                prediction.mask_prob_HW.expand(n, -1, -1),
                target,
                data.test.masks_NHW,
                data.test.boxes_xyxy_N4,
                data.test.content_NHW,
                self.context.lpips,
                self.plain_ground,
            )
            columns |= {
                f"baseline/{name}/{metric}": values.double().mean().item() for metric, values in metrics.items()
            }
        return columns
