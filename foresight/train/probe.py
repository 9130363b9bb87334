"""The spatial probe (E-P2.1): one box, read off one encoder's tokens. It measures where the object can be seen, not a bridge.

Axes: B batch, N test images.
"""

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foresight.boxes import xyxy_to_cxcywh
from foresight.encoders.shapes import FeatureShapes
from foresight.features.stage import StagedData, StagedSplit
from foresight.metrics.boxes import compute_box_metrics, mean_box
from foresight.metrics.cost import compute_flops
from foresight.models.bridge import Features
from foresight.models.probe import Probe
from foresight.train.pictures import N_EXAMPLES
from foresight.train.precision import autocast
from foresight.train.probe_pictures import draw_probe_examples
from foresight.train.task import EVAL_BATCH, Evaluation, Task


class SpatialProbe(Task):
    """Trains a probe by smooth-L1 on centre and size, and measures its boxes."""

    def assemble(self, shapes: FeatureShapes) -> Probe:
        return Probe(self.config.probe, shapes)

    def losses(
        self, model: nn.Module, split: StagedSplit, index: Tensor, done_frac: float, batch: Tensor | None = None
    ) -> dict[str, Tensor]:
        predicted_B4 = model(split.features[index]).float()
        return {"loss": F.smooth_l1_loss(predicted_B4, xyxy_to_cxcywh(split.boxes_xyxy_N4[index]))}

    @torch.no_grad()
    def validate(self, model: nn.Module, split: StagedSplit) -> dict[str, float]:
        predicted_N4, true_N4 = self.output(model, split), xyxy_to_cxcywh(split.boxes_xyxy_N4)
        return {
            "loss": F.smooth_l1_loss(predicted_N4, true_N4).item(),
            "probe_box_iou": compute_box_metrics(predicted_N4, true_N4)["probe_box_iou"].mean().item(),
        }

    @torch.no_grad()
    def output(self, model: nn.Module, split: StagedSplit) -> Tensor:
        """[N, 4] predicted boxes `cxcywh`, normalised."""
        model.eval()
        boxes = []
        for index in torch.arange(len(split), device=self.device).split(EVAL_BATCH):
            with autocast(self.device, self.config.train.precision):
                boxes.append(model(split.features[index]).float())
        return torch.cat(boxes)

    def count_flops(self, model: nn.Module, one_image: Features) -> float:
        return compute_flops(model, one_image)

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: StagedData) -> Evaluation:
        split = data.test
        predicted_N4, true_N4 = self.output(model, split), xyxy_to_cxcywh(split.boxes_xyxy_N4)
        metrics = {name: _array(values) for name, values in compute_box_metrics(predicted_N4, true_N4).items()}
        samples = pd.DataFrame({"sample_hash": split.sample_hash, "split": "test", "scene": split.scene, **metrics})
        trivial_N4 = mean_box(xyxy_to_cxcywh(data.train.boxes_xyxy_N4)).expand_as(true_N4)
        columns = {f"test/{name}": float(values.mean()) for name, values in metrics.items()}
        columns |= {
            f"baseline/mean_box/{name}": float(_array(values).mean())
            for name, values in compute_box_metrics(trivial_N4, true_N4).items()
        }
        shown = torch.arange(min(N_EXAMPLES, len(split)), device=self.device)
        pictures = {"examples": self.draw_examples(split, shown, predicted_N4[shown])}
        return Evaluation(samples, columns, pictures, list(metrics))

    def draw_examples(self, split: StagedSplit, index: Tensor, predicted_B4: Tensor) -> bytes:
        """The pictures with both boxes above the principal components of the tokens that the probe reads."""
        features = split.features[index]
        read_vlm = self.config.streams == "vlm"
        tokens_BNC = features.vlm_BVC if read_vlm else features.spatial_BSC
        valid_BN = features.vlm_valid_BV if read_vlm else features.spatial_valid_BS
        true_B4 = xyxy_to_cxcywh(split.boxes_xyxy_N4[index])
        return draw_probe_examples(split.targets_N3HW[index], tokens_BNC, valid_BN, true_B4, predicted_B4)


def _array(values_N: Tensor) -> np.ndarray:
    return values_N.double().cpu().numpy()
