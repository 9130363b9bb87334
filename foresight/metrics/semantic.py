"""semantic_consistency: does a frozen VLM see the same in the reconstruction as in the picture?

The name carries what it measures with: with the toy VLM of random weights it is `semantic_consistency_toy_vlm`, and that
says nothing about meaning. Axes: B batch, V VLM tokens, C channels, H W pixels.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foresight.config import PIXELS_PER_VLM_TOKEN, VLMConfig
from foresight.encoders.checkpoints import RANDOM
from foresight.encoders.qwen_vl import encode_vlm
from foresight.encoders.shapes import vlm_shape

BATCH = 32


@dataclass(frozen=True)
class SemanticEncoder:
    """The metric's name and the frozen VLM that it is measured with."""

    name: str
    model: nn.Module
    last_layer: int

    @torch.no_grad()
    def __call__(self, prediction_B3HW: Tensor, target_B3HW: Tensor, content_BHW: Tensor, image_px: int) -> Tensor:
        """[B] cosine similarity of the mean final-layer token of both pictures, enlarged alike to `image_px`.

        Pictures are in [0, 1]; a prediction should have the target's padding, whose tokens are left out of the mean.
        """
        grid = image_px // PIXELS_PER_VLM_TOKEN
        share_BV = F.adaptive_avg_pool2d(content_BHW[:, None].float(), grid).flatten(1)
        # A picture too thin to fill half of any token keeps the tokens that it covers most.
        counts_BV = (share_BV >= share_BV.amax(dim=1, keepdim=True).clamp(max=0.5)).float()
        pooled = [self._pool(picture, counts_BV, image_px) for picture in (prediction_B3HW, target_B3HW)]
        return F.cosine_similarity(*pooled).clamp(-1, 1)

    def _pool(self, picture_B3HW: Tensor, counts_BV: Tensor, image_px: int) -> Tensor:
        pixels = picture_B3HW.float()
        if pixels.shape[-1] != image_px:
            pixels = F.interpolate(pixels, size=(image_px, image_px), mode="bilinear", antialias=True)
        tokens_BVC = torch.cat(
            [encode_vlm(self.model, part, [self.last_layer])[self.last_layer] for part in pixels.split(BATCH)]
        )
        return (tokens_BVC * counts_BV[..., None]).sum(dim=1) / counts_BV.sum(dim=1, keepdim=True)


def build_semantic_encoder(config: VLMConfig, model: nn.Module) -> SemanticEncoder:
    """The metric with a VLM that is loaded already, whichever of its layers the trials read."""
    name = "semantic_consistency_toy_vlm" if config.checkpoint == RANDOM else "semantic_consistency"
    return SemanticEncoder(name, model, vlm_shape(config).depth)
