"""Reconstruction: a bridge conditions a decoder, which draws the picture and the object's mask again.

Axes: B batch, H W pixels.
"""

import torch
from torch import Tensor, nn

from foresight.encoders.shapes import FeatureShapes
from foresight.features.stage import StagedData, StagedSplit
from foresight.metrics.cost import compute_flops
from foresight.metrics.spatial import compute_mask_iou
from foresight.models.bridge import Bridge, Features
from foresight.train.losses import Prediction, compute_losses, plain_loss
from foresight.train.measure import draw_examples, measure_split, metric_means, predict_with, score_trivial_predictors
from foresight.train.precision import autocast
from foresight.train.stream_maps import map_streams
from foresight.train.task import EVAL_BATCH, Evaluation, Task


class Reconstruction(Task):
    """Trains a bridge with its decoder, and measures pictures and masks."""

    def assemble(self, shapes: FeatureShapes) -> Bridge:
        config = self.config
        return Bridge(config.conditioner, config.decoder, config.data.target_px, shapes)

    def decoder(self, model: nn.Module) -> nn.Module:
        return model.decoder

    def losses(
        self, model: nn.Module, split: StagedSplit, index: Tensor, done_frac: float, batch: Tensor | None = None
    ) -> dict[str, Tensor]:
        return compute_losses(self._predict(model, split, index), self.config.loss, done_frac)

    @torch.no_grad()
    def validate(self, model: nn.Module, split: StagedSplit) -> dict[str, float]:
        model.eval()
        totals: dict[str, Tensor] = {}
        for index in torch.arange(len(split), device=self.device).split(EVAL_BATCH):
            with autocast(self.device, self.config.train.precision):
                prediction = self._predict(model, split, index)
            losses = compute_losses(prediction, self.config.loss)
            if split.has_masks:
                losses["mask_iou"] = compute_mask_iou(
                    prediction.mask_logits_BHW.sigmoid(), prediction.mask_BHW, prediction.content_BHW
                ).mean()
            for name, value in losses.items():
                totals[name] = totals.get(name, torch.zeros((), device=self.device)) + value * len(index)
        return {name: (total / len(split)).item() for name, total in totals.items()}

    def _predict(self, model: nn.Module, split: StagedSplit, index: Tensor) -> Prediction:
        picture, mask_logits = model(split.features[index])
        target = split.targets_N3HW[index].float() / 255
        return Prediction(
            picture, mask_logits, target, split.masks_NHW[index], split.content_NHW[index], self.context.lpips
        )

    @torch.no_grad()
    def output(self, model: nn.Module, split: StagedSplit) -> Tensor:
        model.eval()
        with autocast(self.device, self.config.train.precision):
            picture, mask_logits = model(split.features[torch.arange(len(split), device=self.device)])
        return torch.cat([picture.float(), mask_logits.float().sigmoid()[:, None]], dim=1)

    def count_flops(self, model: nn.Module, one_image: Features) -> float:
        return compute_flops(model, one_image)

    def evaluate(self, model: nn.Module, data: StagedData) -> Evaluation:
        assert self.context.lpips is not None
        predict = predict_with(model, data.test, self.device, self.config.train.precision)
        samples = measure_split(predict, data.test, "test", self.context.lpips, EVAL_BATCH)
        means = metric_means(samples)
        if data.test.has_masks:
            means["generalisation_gap"] = self.compute_generalisation_gap(model, data)
        columns = {f"test/{name}": value for name, value in means.items()} | self.score_trivial_predictors(data)
        evaluation = Evaluation(samples, columns, {"examples": draw_examples(predict, data.test)}, list(means))
        return self.add_streams(evaluation, model, data.test)

    def score_trivial_predictors(self, data: StagedData) -> dict[str, float]:
        """`baseline/<predictor>/<metric>` of the test images, measured once for all trials of this process on them."""
        assert self.context.lpips is not None
        if not data.trivial_scores:
            scores = score_trivial_predictors(data.train, data.test, self.context.lpips, EVAL_BATCH)
            data.trivial_scores.update({f"baseline/{name}": value for name, value in scores.items()})
        return data.trivial_scores

    def add_streams(self, evaluation: Evaluation, model: nn.Module, split: StagedSplit) -> Evaluation:
        """The same with what the bridge takes from which stream, where it reads both."""
        streams = map_streams(model, split, EVAL_BATCH)
        if streams is not None:
            evaluation.samples = evaluation.samples.assign(**streams.samples)
            evaluation.columns |= streams.columns
            evaluation.pictures["attention"] = streams.picture_png
        return evaluation

    @torch.no_grad()
    def compute_generalisation_gap(self, model: nn.Module, data: StagedData) -> float:
        """Mean `plain_loss` of the test images minus that of as many training images, the first, both without dropout."""
        model.eval()
        means = []
        for split, n in ((data.test, len(data.test)), (data.train, min(len(data.test), len(data.train)))):
            total = torch.zeros((), device=self.device)
            for index in torch.arange(n, device=self.device).split(EVAL_BATCH):
                with autocast(self.device, self.config.train.precision):
                    prediction = self._predict(model, split, index)
                total += plain_loss(prediction.single_precision()).sum()
            means.append((total / n).item())
        return means[0] - means[1]
