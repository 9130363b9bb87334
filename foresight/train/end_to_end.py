"""End to end (E-P2.4): every Gate-1 metric of one trained bridge, from one trial.

The bridge is the trained one of another trial, which this trial's config names, and stays as it is. A detection head is
trained on its conditioning tokens, and then all is measured on held-out pictures: layout, looks, objects and time on the
test split, and the pictures on every further set. The original quoted its gate from several models on several data.
"""

from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from foresight.config import N_CLASSES, TrialConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.features.stage import StagedData, StagedSplit
from foresight.metrics.detection import compute_found, compute_map
from foresight.metrics.semantic import SemanticEncoder, build_semantic_encoder
from foresight.models.bridge import Bridge, Features
from foresight.models.initialise import initialise
from foresight.models.token_detector import TokenDetector
from foresight.train.box_pictures import box_strip
from foresight.train.continued import find_weights
from foresight.train.detection import Detection
from foresight.train.measure import (
    Predict,
    draw_examples,
    draw_reconstructions,
    draw_worst,
    measure_split,
    metric_means,
    predict_with,
    score_trivial_predictors,
)
from foresight.train.overhead import measure_overhead
from foresight.train.pictures import N_EXAMPLES
from foresight.train.pipeline_pass import kept_vlm
from foresight.train.precision import autocast
from foresight.train.task import EVAL_BATCH, Context, Evaluation, Task, set_hash

WORST_BY = "mask_iou"  # what the pictures of failures are chosen by


class EndToEnd(Task):
    """Trains a head on a trained bridge, and measures both."""

    def __init__(self, config: TrialConfig, context: Context):
        super().__init__(config, context)
        self.detection = Detection(config, context)  # how a head is trained and measured

    def assemble(self, shapes: FeatureShapes) -> TokenDetector:
        config, conditioner = self.config, self.config.conditioner
        bridge = Bridge(conditioner, config.decoder, config.data.target_px, shapes)
        n_classes = N_CLASSES[config.data.name]
        return TokenDetector(bridge, conditioner.conditioning_dim, conditioner.queries, config.detector, n_classes)

    def build(self, shapes: FeatureShapes) -> TokenDetector:
        """The head with the weights of the trial's block on a bridge as it was before its training; see `restore`."""
        model = self.assemble(shapes)
        model.bridge.requires_grad_(True)
        initialise(model, self.config.seed)
        model.bridge.requires_grad_(False)
        return model.to(self.device)

    def restore(self, model: nn.Module) -> None:
        """Gives the bridge its trained weights. Raises RequestError when the trial that trained them is not there."""
        from safetensors.torch import load_file

        model.bridge.load_state_dict(load_file(find_weights(self.config, self.context.runs), device=self.device))

    def decoder(self, model: nn.Module) -> nn.Module:
        return model.bridge.decoder

    def trained_before(self, model: nn.Module) -> nn.Module:
        return model.bridge

    def losses(
        self, model: nn.Module, split: StagedSplit, index: Tensor, done_frac: float, batch: Tensor | None = None
    ) -> dict[str, Tensor]:
        return self.detection.losses(model, split, index, done_frac, batch)

    def validate(self, model: nn.Module, split: StagedSplit) -> dict[str, float]:
        return self.detection.validate(model, split)

    def score(self, row: dict[str, float]) -> float | None:
        return self.detection.score(row)

    @torch.no_grad()
    def output(self, model: nn.Module, split: StagedSplit) -> Tensor:
        index = torch.arange(len(split), device=self.device)
        picture, mask_prob = self._predict(model, split)(index)
        reconstruction = torch.cat([picture, mask_prob[:, None]], dim=1)
        return torch.cat([reconstruction.flatten(1), self.detection.output(model, split).flatten(1)], dim=1)

    @torch.no_grad()
    def count_flops(self, model: nn.Module, one_image: Features) -> float:
        model.eval()
        with FlopCounterMode(display=False) as counter:
            tokens_BQC = model.bridge.condition(one_image)
            model.bridge.decoder(tokens_BQC)
            model.detect(tokens_BQC)
        return float(counter.get_total_flops())

    def evaluate(self, model: nn.Module, data: StagedData) -> Evaluation:
        semantic = build_semantic_encoder(self.config.vlm, kept_vlm(self.config, self.device, self.context.encoders))
        predict = self._predict(model, data.test)
        samples = self._measure(predict, data.test, "test", semantic)
        detections = self.detection.scored(self.detection.predict(model, data.test))
        objects = self.detection.objects_of(data.test)
        samples = samples.assign(**compute_found(detections, objects))
        means = metric_means(samples) | compute_map(detections, objects)
        with autocast(self.device, self.config.train.precision):
            means |= measure_overhead(self.config, model.bridge, self.context)
        columns: dict[str, Any] = {f"test/{name}": value for name, value in means.items()}
        worst = draw_worst(predict, data.test, samples, WORST_BY)
        samples["worst_rank"] = worst.rank
        shown = slice(0, N_EXAMPLES)
        pictures = {
            "examples": draw_examples(predict, data.test),
            "reconstructions": draw_reconstructions(predict, data.test),
            "failures": worst.png,
            "detections": box_strip(data.test.targets_N3HW[shown].float() / 255, objects[shown], detections),
        }
        if not data.trivial_scores:
            data.trivial_scores.update(self._score_trivial(data, semantic))
        further = [samples]
        for name, split in data.heldout.items():
            predict = self._predict(model, split)
            rows = self._measure(predict, split, name, semantic)
            further.append(rows)
            columns |= {f"heldout/{name}/{metric}": value for metric, value in metric_means(rows).items()}
            columns |= {f"heldout/{name}/n": split.n_samples, f"heldout/{name}/hash": set_hash(split)}
            pictures[f"heldout_{name}"] = draw_examples(predict, split)
        samples = pd.concat(further, ignore_index=True)
        return Evaluation(samples, columns | data.trivial_scores, pictures, list(means))

    def _predict(self, model: nn.Module, split: StagedSplit) -> Predict:
        return predict_with(model.bridge, split, self.device, self.config.train.precision)

    def _measure(self, predict: Predict, split: StagedSplit, name: str, semantic: SemanticEncoder) -> pd.DataFrame:
        assert self.context.lpips is not None
        return measure_split(predict, split, name, self.context.lpips, EVAL_BATCH, semantic, self.config.data.image_px)

    def _score_trivial(self, data: StagedData, semantic: SemanticEncoder) -> dict[str, float]:
        """`baseline/<predictor>/<metric>` on the test split, `heldout/<set>/baseline/...` on every further set."""
        assert self.context.lpips is not None
        scores = self.detection.score_trivial_detectors(data)
        for prefix, split in {"": data.test, **{f"heldout/{n}/": s for n, s in data.heldout.items()}}.items():
            asked = semantic if split is data.test else None  # a pass of the VLM for each predictor and picture
            found = score_trivial_predictors(
                data.train, split, self.context.lpips, EVAL_BATCH, asked, self.config.data.image_px
            )
            scores |= {f"{prefix}baseline/{name}": value for name, value in found.items()}
        return scores
