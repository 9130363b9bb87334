"""Detection: a DETR head on encoder features finds the objects of a picture, with class and box (E-P2.1).

Axes: B batch, N images, Q queries.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from foresight.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from foresight.config import N_CLASSES
from foresight.encoders.shapes import FeatureShapes
from foresight.errors import RequestError
from foresight.features.stage import StagedData, StagedObjects, StagedSplit
from foresight.metrics.box_baselines import TRIVIAL_DETECTORS
from foresight.metrics.cost import compute_flops
from foresight.metrics.detection import ScoredBoxes, compute_found, compute_map
from foresight.models.bridge import Features
from foresight.models.denoising import NoisedQueries, noise_objects
from foresight.models.detector import Detector
from foresight.models.detr import Detections, class_probs
from foresight.seeding import seeded_generator
from foresight.train.box_pictures import box_strip
from foresight.train.detection_loss import detection_losses
from foresight.train.pictures import N_EXAMPLES
from foresight.train.precision import autocast
from foresight.train.task import EVAL_BATCH, Evaluation, Task


class Detection(Task):
    """Trains a detector, and measures what it finds."""

    def assemble(self, shapes: FeatureShapes) -> Detector:
        return Detector(self.config.detector, shapes, N_CLASSES[self.config.data.name])

    def losses(
        self, model: nn.Module, split: StagedSplit, index: Tensor, done_frac: float, batch: Tensor | None = None
    ) -> dict[str, Tensor]:
        batch = index if batch is None else batch
        objects, all_objects = self.objects_of(split)[index], self.objects_of(split)[batch]
        noised = None
        if self.config.detector.denoising:
            noised = self.noised_queries(all_objects, done_frac, batch)[torch.isin(batch, index)]
        detections = model(split.features[index], noised)
        return detection_losses(detections, objects, self.config.detector, all_objects)

    def noised_queries(self, objects: StagedObjects, done_frac: float, batch: Tensor) -> NoisedQueries:
        """Queries at noised true objects. The noise is keyed by step and batch, so that it shifts nothing else drawn."""
        return noise_objects(
            xyxy_to_cxcywh(objects.boxes_xyxy_NK4),
            objects.classes_NK,
            N_CLASSES[self.config.data.name],
            seeded_generator(self.config.seed, "denoising", repr(done_frac), repr(batch.tolist())),
        )

    def objects_of(self, split: StagedSplit) -> StagedObjects:
        """The true objects. Raises RequestError when there are more classes than the detector tells apart."""
        assert split.objects is not None, "the config admits only data whose objects have classes"
        most, given = N_CLASSES[self.config.data.name], len(split.objects.class_names)
        if given > most:
            raise RequestError(f"the data '{self.config.data.name}' has {given} classes; a detector tells {most} apart")
        return split.objects

    @torch.no_grad()
    def predict(self, model: nn.Module, split: StagedSplit) -> Detections:
        """What the last decoder layer says of every image of a split: L = 1."""
        model.eval()
        logits, boxes = [], []
        for index in torch.arange(len(split), device=self.device).split(EVAL_BATCH):
            with autocast(self.device, self.config.train.precision):
                detections = model(split.features[index])
            logits.append(detections.class_logits_LBQC[-1:])
            boxes.append(detections.boxes_cxcywh_LBQ4[-1:])
        return Detections(torch.cat(logits, dim=1), torch.cat(boxes, dim=1))

    def scored(self, detections: Detections) -> ScoredBoxes:
        """Every query's best class and its probability."""
        probs_NQC = class_probs(detections.class_logits_LBQC[-1], self.config.detector)
        scores_NQ, classes_NQ = probs_NQC.max(dim=-1)
        return ScoredBoxes(cxcywh_to_xyxy(detections.boxes_cxcywh_LBQ4[-1]), classes_NQ, scores_NQ)

    def validate(self, model: nn.Module, split: StagedSplit) -> dict[str, float]:
        detections, objects = self.predict(model, split), self.objects_of(split)
        losses = detection_losses(
            detections, objects, self.config.detector
        )  # of the last layer, without noised queries
        return {name: value.item() for name, value in losses.items()} | compute_map(self.scored(detections), objects)

    def score(self, row: dict[str, float]) -> float | None:
        return row["val/map_50"] if self.config.detector.keep_best else None

    def output(self, model: nn.Module, split: StagedSplit) -> Tensor:
        detections = self.predict(model, split)
        probs_NQC = class_probs(detections.class_logits_LBQC[-1], self.config.detector)
        return torch.cat([probs_NQC, detections.boxes_cxcywh_LBQ4[-1]], dim=-1)

    def count_flops(self, model: nn.Module, one_image: Features) -> float:
        return compute_flops(model, one_image)

    def evaluate(self, model: nn.Module, data: StagedData) -> Evaluation:
        split, objects = data.test, self.objects_of(data.test)
        detected = self.scored(self.predict(model, split))
        found, average_precision = compute_found(detected, objects), compute_map(detected, objects)
        samples = pd.DataFrame({"sample_hash": split.sample_hash, "split": "test", "scene": split.scene, **found})
        if not data.trivial_scores:
            data.trivial_scores.update(self.score_trivial_detectors(data))
        scores = {f"test/{name}": float(np.mean(values)) for name, values in found.items()}
        scores |= {f"test/{name}": value for name, value in average_precision.items()}
        shown = split.targets_N3HW[:N_EXAMPLES].float() / 255
        examples_png = box_strip(shown, objects[:N_EXAMPLES], detected)
        return Evaluation(
            samples, scores | data.trivial_scores, {"examples": examples_png}, [*found, *average_precision]
        )

    def score_trivial_detectors(self, data: StagedData) -> dict[str, float]:
        """`baseline/<predictor>/<metric>`: detectors that ignore the picture, fitted on train and scored on test."""
        objects, columns = self.objects_of(data.test), {}
        for name, fit in TRIVIAL_DETECTORS.items():
            detected = fit(self.objects_of(data.train), len(objects))
            scores = {metric: float(np.mean(values)) for metric, values in compute_found(detected, objects).items()}
            scores |= compute_map(detected, objects)
            columns |= {f"baseline/{name}/{metric}": value for metric, value in scores.items()}
        return columns
