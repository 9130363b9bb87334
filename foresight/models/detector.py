"""A detector on encoder features: the DETR head over the tokens of one stream or of both, each with its place."""

from torch import nn

from foresight.config import DetectorConfig
from foresight.encoders.shapes import FeatureShapes
from foresight.models.bridge import Features
from foresight.models.denoising import NoisedQueries
from foresight.models.detr import Detections, Detr, PlacedTokens
from foresight.models.position import grid_centres


class Detector(nn.Module):
    """Finds the objects of a picture in its encoder features. A stream that is not read (a grid of 0) has no part in it."""

    def __init__(self, config: DetectorConfig, shapes: FeatureShapes, n_classes: int):
        super().__init__()
        self.reads_vlm, self.reads_spatial = bool(shapes.vlm_grid), bool(shapes.spatial_grid)
        n_channels = [dim for dim in (shapes.vlm_dim, shapes.spatial_dim) if dim]
        self.head = Detr(config, n_channels, n_classes)
        self.register_buffer("vlm_xy", grid_centres(shapes.vlm_grid, shapes.vlm_grid), persistent=False)
        self.register_buffer("spatial_xy", grid_centres(shapes.spatial_grid, shapes.spatial_grid), persistent=False)

    def forward(self, features: Features, noised: NoisedQueries | None = None) -> Detections:
        """What every decoder layer predicts; see `Detr`."""
        sources = []
        if self.reads_vlm:
            sources.append(PlacedTokens(features.vlm_BVC, self.vlm_xy, features.vlm_valid_BV))
        if self.reads_spatial:
            sources.append(PlacedTokens(features.spatial_BSC, self.spatial_xy, features.spatial_valid_BS))
        return self.head(sources, noised)
